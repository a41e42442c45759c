//! Where the files lie that a mapping reads.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::mapping::{Mapping, Table};

/// The files of a mapping, each found in one of the folders, or among the files, that were named.
pub struct Sources(HashMap<String, PathBuf>);

impl Sources {
    /// Finds every file that the mapping reads.
    ///
    /// # Errors
    /// Where one is missing, or there are two of it, or a file was named that the mapping does not read.
    pub fn find(mapping: &Mapping, named: &[PathBuf]) -> Result<Self, String> {
        let (folders, files): (Vec<&PathBuf>, Vec<&PathBuf>) = named.iter().partition(|path| path.is_dir());
        let names = || mapping.tables.values().map(|table| table.file.as_str());
        if let Some(stray) = files.iter().find(|file| !names().any(|name| file.ends_with(name))) {
            let read: Vec<&str> = names().collect();
            return Err(format!("{}: the mapping reads {}, and no file of this name", stray.display(), read.join(", ")));
        }
        let find = |name: &str| {
            let in_folders = folders.iter().map(|folder| folder.join(name)).filter(|file| file.exists());
            let mut found: Vec<PathBuf> =
                in_folders.chain(files.iter().filter(|file| file.ends_with(name)).map(|file| (*file).clone())).collect();
            found.dedup();
            match (found.pop(), found.pop()) {
                (None, _) => Err(format!("{name}, which the mapping reads, is not in {}", listed(named))),
                (Some(file), None) => Ok((name.to_owned(), file)),
                (Some(second), Some(first)) => {
                    Err(format!("there are two files {name}: {} and {}; name one of them", first.display(), second.display()))
                }
            }
        };
        names().map(find).collect::<Result<_, _>>().map(Self)
    }

    /// Where a table's file lies.
    pub(super) fn of(&self, table: &Table) -> &Path {
        &self.0[&table.file]
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = r#"
        name = "two"
        [tables.deals]
        file = "deals.csv"
        key = "id"
        [tables.accounts]
        file = "accounts.csv"
        key = "id"
        [[emit]]
        from = "accounts"
        command = "ActivatePartner"
        at = "{since}"
        payload = { partner_id = "{id}" }
    "#;

    #[test]
    fn files_are_found_in_folders_and_by_name_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for folder in ["one", "other", "both"] {
            std::fs::create_dir(path(folder)).expect("made");
        }
        for file in ["one/deals.csv", "other/accounts.csv", "both/deals.csv", "both/accounts.csv", "other/people.csv"] {
            std::fs::write(path(file), "id\n").expect("written");
        }
        let mapping = Mapping::parse(MAPPING).expect("a mapping");
        let find = |named: &[&str]| Sources::find(&mapping, &named.iter().map(|name| path(name)).collect::<Vec<_>>());
        for (named, deals) in [
            (&["both"][..], "both/deals.csv"),
            (&["one", "other"], "one/deals.csv"),
            (&["both/deals.csv", "other"], "both/deals.csv"),
            (&["one/deals.csv", "both/accounts.csv", "one/deals.csv"], "one/deals.csv"),
        ] {
            let found = find(named).unwrap_or_else(|error| panic!("{named:?}: {error}"));
            assert_eq!(found.of(&mapping.tables["deals"]), path(deals));
        }
        for (named, said) in [
            (&["one"][..], "accounts.csv, which the mapping reads, is not in"),
            (&["one", "both"], "there are two files deals.csv"),
            (&["both", "other/people.csv"], "the mapping reads accounts.csv, deals.csv, and no file of this name"),
        ] {
            let told = find(named).err().unwrap_or_default();
            assert!(told.contains(said), "{named:?}: {told}");
        }
    }
}
