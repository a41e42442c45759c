//! Sorting commands: in memory while they are few, on disk where they are many.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Seek, Write},
};

use super::{ImportCommand, ImportOrder};

/// How many commands are sorted in memory: about 500 bytes each.
const IN_MEMORY: usize = 200_000;

/// Takes commands in any order.
pub struct Sorter {
    held: Vec<ImportCommand>,
    runs: Vec<File>,
    in_memory: usize,
    count: u64,
}

impl Default for Sorter {
    fn default() -> Self {
        Self::holding(IN_MEMORY)
    }
}

/// Gives commands in order.
pub struct SortedCommands {
    runs: Vec<Box<dyn Iterator<Item = Result<ImportCommand, String>>>>,
    heads: BinaryHeap<Reverse<(ImportOrder, usize, Boxed)>>,
    failed: Option<String>,
}

/// A command that compares equal to any other: the order beside it decides.
struct Boxed(Box<ImportCommand>);

impl Sorter {
    fn holding(in_memory: usize) -> Self {
        Self { held: Vec::new(), runs: Vec::new(), in_memory, count: 0 }
    }

    /// How many commands were taken.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether none was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn push(&mut self, command: ImportCommand) -> Result<(), String> {
        self.count += 1;
        self.held.push(command);
        if self.held.len() >= self.in_memory { self.spill().map_err(|error| format!("sorting on disk: {error}")) } else { Ok(()) }
    }

    /// Writes what is held as a sorted run into a file without a name.
    fn spill(&mut self) -> std::io::Result<()> {
        self.held.sort_unstable_by(|a, b| a.order.cmp(&b.order));
        let mut writer = BufWriter::new(tempfile::tempfile()?);
        for command in self.held.drain(..) {
            serde_json::to_writer(&mut writer, &command)?;
            writer.write_all(b"\n")?;
        }
        let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// The commands in order.
    #[must_use]
    pub fn finish(mut self) -> SortedCommands {
        self.held.sort_unstable_by(|a, b| a.order.cmp(&b.order));
        let mut runs: Vec<Box<dyn Iterator<Item = Result<ImportCommand, String>>>> = vec![Box::new(self.held.into_iter().map(Ok))];
        for file in self.runs {
            let lines = BufReader::new(file).lines();
            runs.push(Box::new(lines.map(|line| {
                let line = line.map_err(|error| error.to_string())?;
                serde_json::from_str(&line).map_err(|error| error.to_string())
            })));
        }
        let mut sorted = SortedCommands { runs, heads: BinaryHeap::new(), failed: None };
        for run in 0..sorted.runs.len() {
            sorted.advance(run);
        }
        sorted
    }
}

impl SortedCommands {
    /// Takes the next command of a run up.
    fn advance(&mut self, run: usize) {
        match self.runs[run].next() {
            Some(Ok(command)) => self.heads.push(Reverse((command.order.clone(), run, Boxed(Box::new(command))))),
            Some(Err(error)) => self.failed = Some(format!("sorting on disk: {error}")),
            None => {}
        }
    }
}

impl Iterator for SortedCommands {
    type Item = Result<ImportCommand, String>;
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        let Reverse((_, run, Boxed(command))) = self.heads.pop()?;
        self.advance(run);
        Some(Ok(*command))
    }
}

impl PartialEq for Boxed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Boxed {}
impl PartialOrd for Boxed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Boxed {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_on_disk_and_in_memory_come_out_in_one_order() {
        let mut sorter = Sorter::holding(3);
        for n in [5_u64, 3, 9, 1, 7, 0, 8, 2, 6, 4] {
            let order = ImportOrder { opening: n == 0, rank: 1, stream: format!("partner/p{}", n % 2), effective_us: 0, sequence: n };
            let command = ImportCommand {
                order,
                name: "ActivatePartner".into(),
                payload: "{}".into(),
                key: n.to_string(),
                effective_at: String::new(),
                place: String::new(),
            };
            sorter.push(command).expect("taken");
        }
        assert_eq!(sorter.len(), 10);
        let keys: Vec<String> = sorter.finish().map(|command| command.expect("read back").key).collect();
        assert_eq!(keys, ["2", "4", "6", "8", "1", "3", "5", "7", "9", "0"]);
    }
}
