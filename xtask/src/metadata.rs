//! What `cargo metadata` says about packages and who depends on whom, as far as the checks ask.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use serde::Deserialize;

/// The answer of `cargo metadata --format-version=1`.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

/// One package at one version.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as a `Cargo.toml` names it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) rename: Option<String>,
    kind: Option<NotNormal>,
}

/// The kinds of dependency that `cargo metadata` does not leave `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NotNormal {
    Dev,
    Build,
}

impl Dependency {
    /// Whether the crate itself, not its tests or build script, depends on it.
    pub(crate) fn is_normal(&self) -> bool {
        self.kind.is_none()
    }

    /// Whether only tests, benches and examples depend on it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind == Some(NotNormal::Dev)
    }
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<NotNormal>,
}

impl Edge {
    fn is_normal(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

/// Which edges a path may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    Normal,
    All,
}

impl Metadata {
    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Every package reached from the members named in `from`, those included, each with a
    /// shortest way there: the packages from a member to it, both ends included.
    pub(crate) fn reached<'a>(&'a self, from: &[&str], edges: Edges) -> Vec<Vec<&'a Package>> {
        let packages: HashMap<_, _> = self.packages.iter().map(|p| (p.id.as_str(), p)).collect();
        let nodes: HashMap<_, _> = self.resolve.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
        let starts = self.members().filter(|member| from.contains(&member.name.as_str()));
        let mut came_from: HashMap<&str, Option<&str>> = HashMap::new();
        let mut order = Vec::new();
        let mut queue: VecDeque<(&str, Option<&str>)> = starts.map(|start| (start.id.as_str(), None)).collect();
        while let Some((id, before)) = queue.pop_front() {
            if came_from.contains_key(id) {
                continue;
            }
            came_from.insert(id, before);
            order.push(id);
            let deps = nodes.get(id).map_or(&[][..], |node| &node.deps);
            let followed = deps.iter().filter(|edge| edges == Edges::All || edge.is_normal());
            queue.extend(followed.map(|edge| (edge.pkg.as_str(), Some(id))));
        }
        let path_to = |id| {
            let back = std::iter::successors(Some(id), |id| came_from.get(id).copied().flatten());
            let mut path: Vec<_> = back.filter_map(|id| packages.get(id).copied()).collect();
            path.reverse();
            path
        };
        order.into_iter().map(path_to).collect()
    }
}

/// A path as a reader wants it: `pledger -> axum -> tokio`.
pub(crate) fn arrow_path(path: &[&Package]) -> String {
    let names: Vec<_> = path.iter().map(|package| package.name.as_str()).collect();
    names.join(" -> ")
}

#[cfg(test)]
pub(crate) mod fake {
    //! Metadata written down as a few lines, for the tests of the checks.

    use serde_json::{Value, json};

    use super::Metadata;

    /// A graph from lines `a: b, c [dev], d [build]`. A name with a `*` in front is a member of
    /// the workspace; each name that is depended on needs a line of its own. `licences` gives a
    /// package another licence than MIT; an empty one is none.
    pub(crate) fn metadata(lines: &[&str], licences: &[(&str, &str)]) -> Metadata {
        let graph: Vec<_> = lines.iter().map(|line| parse(line)).collect();
        let licence = |name: &str| match licences.iter().find(|(of, _)| *of == name) {
            Some((_, "")) => Value::Null,
            Some((_, other)) => json!(other),
            None => json!("MIT"),
        };
        let packages: Vec<_> = graph
            .iter()
            .map(|(name, _, deps)| {
                let dependencies: Vec<_> = deps.iter().map(|(dep, kind)| json!({"name": dep, "rename": null, "kind": kind})).collect();
                json!({
                    "id": name, "name": name, "version": "1.0.0", "license": licence(name),
                    "manifest_path": format!("{name}/Cargo.toml"), "dependencies": dependencies,
                })
            })
            .collect();
        let nodes: Vec<_> = graph
            .iter()
            .map(|(name, _, deps)| {
                let edges: Vec<_> = deps.iter().map(|(dep, kind)| json!({"pkg": dep, "dep_kinds": [{"kind": kind}]})).collect();
                json!({"id": name, "deps": edges})
            })
            .collect();
        let members: Vec<_> = graph.iter().filter(|(_, member, _)| *member).map(|(name, ..)| name).collect();
        serde_json::from_value(json!({
            "packages": packages, "workspace_members": members, "resolve": {"nodes": nodes},
        }))
        .unwrap()
    }

    type Line<'a> = (&'a str, bool, Vec<(&'a str, Option<&'a str>)>);

    fn parse(line: &str) -> Line<'_> {
        let (name, deps) = line.split_once(':').unwrap();
        let deps = deps.split(',').map(str::trim).filter(|dep| !dep.is_empty());
        let deps = deps.map(|dep| match dep.split_once(" [") {
            Some((dep, kind)) => (dep, Some(kind.trim_end_matches(']'))),
            None => (dep, None),
        });
        (name.trim_start_matches('*'), name.starts_with('*'), deps.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(metadata: &Metadata, from: &str, edges: Edges) -> Vec<String> {
        metadata.reached(&[from], edges).iter().map(|path| arrow_path(path)).collect()
    }

    #[test]
    fn what_is_reached_depends_on_the_edges_followed() {
        let metadata = fake::metadata(&["*a: b, t [dev]", "b: c, d [build]", "c:", "d:", "t:"], &[]);
        assert_eq!(paths(&metadata, "a", Edges::Normal), ["a", "a -> b", "a -> b -> c"]);
        assert_eq!(paths(&metadata, "a", Edges::All), ["a", "a -> b", "a -> t", "a -> b -> c", "a -> b -> d"]);
    }

    #[test]
    fn the_shortest_way_is_the_one_told() {
        let metadata = fake::metadata(&["*a: b, c", "b: c", "c: a"], &[]);
        assert_eq!(paths(&metadata, "a", Edges::Normal), ["a", "a -> b", "a -> c"]);
    }
}
