//! What can be explained, by its name: a view, or a figure that one view has.

use crate::query::{FieldKind, VIEWS, ViewSpec, find_view};

/// How near a name has to be to be meant.
const NEAR: f64 = 0.8;
/// How much less near than the nearest another name may be to be suggested too.
const AS_NEAR: f64 = 0.05;
/// How many letters a short name has at most, and how near another one is that differs from it in one.
const SHORT: usize = 4;
const ONE_SLIP: f64 = 0.75;
/// Names that are suggested at most.
const SUGGESTED: usize = 3;

/// What is asked for is nothing that can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownMetric {
    /// Neither a view nor a figure.
    #[error("there is no view and no figure {metric:?}{}", suggestion(.nearest))]
    Nothing {
        /// What was asked for.
        metric: String,
        /// The nearest names there are.
        nearest: Vec<&'static str>,
    },
    /// A figure of several views.
    #[error("{figure} is a figure of {}: name the view, as in {} KEY --field {figure}", .views.join(", "), .views[0])]
    OfSeveral {
        /// The figure.
        figure: &'static str,
        /// The views: at least two.
        views: Vec<&'static str>,
    },
}

fn suggestion(nearest: &[&'static str]) -> String {
    if nearest.is_empty() {
        let views: Vec<_> = VIEWS.iter().map(|view| view.name).collect();
        return format!("; the views are {}, and their figures can be named too", views.join(", "));
    }
    format!("; did you mean {}?", nearest.join(" or "))
}

/// The view called `name`, or the one view with a figure called so, and then that figure.
///
/// # Errors
/// `UnknownMetric`.
pub fn find_metric(name: &str) -> Result<(&'static ViewSpec, Option<&'static str>), UnknownMetric> {
    if let Ok(view) = find_view(name) {
        return Ok((view, None));
    }
    let figures = || VIEWS.iter().flat_map(|view| view.fields.iter().map(move |field| (view, field)));
    let having: Vec<_> = figures().filter(|(_, field)| field.name == name && field.kind != FieldKind::Position).collect();
    match having.as_slice() {
        [(view, field)] => Ok((view, Some(field.name))),
        [] => {
            let names = VIEWS.iter().map(|view| view.name).chain(figures().map(|(_, field)| field.name));
            Err(UnknownMetric::Nothing { metric: name.chars().take(80).collect(), nearest: nearest(name, names, NEAR) })
        }
        [(_, field), ..] => Err(UnknownMetric::OfSeveral { figure: field.name, views: having.iter().map(|(view, _)| view.name).collect() }),
    }
}

/// The names nearer than `near_enough` to the one that is asked for, the nearest first.
pub(super) fn nearest<'n>(asked: &str, names: impl Iterator<Item = &'n str>, near_enough: f64) -> Vec<&'n str> {
    let asked = asked.to_lowercase();
    let score = |name: &str| {
        let name = name.to_lowercase();
        let alike = strsim::jaro_winkler(&name, &asked);
        // Of short names one letter is most of what there is.
        let is_slip = asked.len() <= SHORT && strsim::osa_distance(&name, &asked) == 1;
        if is_slip { alike.max(ONE_SLIP) } else { alike }
    };
    let mut near: Vec<(f64, &str)> = names.map(|name| (score(name), name)).collect();
    near.retain(|(score, _)| *score > near_enough);
    near.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.cmp(right)));
    near.dedup_by_key(|(_, name)| *name);
    let best = near.first().map_or(1.0, |(score, _)| *score);
    near.retain(|(score, _)| *score >= best - AS_NEAR);
    near.truncate(SUGGESTED);
    near.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_near_to_another_that_differs_in_a_letter() {
        let near = |asked| nearest(asked, ["p-1", "pa", "pb", "d1"].into_iter(), 0.7);
        assert!(near("p1").contains(&"p-1") && near("pz") == ["pa", "pb"] && near("d9") == ["d1"] && near("xyz").is_empty());
    }

    #[test]
    fn figures_are_suggested_where_one_is_meant() {
        let told = |name: &str| find_metric(name).err().map(|unknown| unknown.to_string()).unwrap_or_default();
        assert_eq!(told("ropi_marign"), "there is no view and no figure \"ropi_marign\"; did you mean ropi_margin?");
        assert_eq!(told("pipelin"), "there is no view and no figure \"pipelin\"; did you mean pipeline?");
        assert!(told("xyzzy").ends_with(
            "; the views are partners, deals, pipeline, attribution, tiers, ropi, mdf, conflicts, and their figures can be named too"
        ));
        assert!(told("gross_margin").starts_with("gross_margin is a figure of "), "{}", told("gross_margin"));
    }
}
