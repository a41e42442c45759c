//! What the earlier items of a batch will make known, before any of them is decided.

use hashbrown::HashMap;
use pledger_domain::stream::StreamName;

use super::{IdKind, LookUp};
use crate::commands::CommandEnvelope;

/// The ids that earlier items of the same batch introduce.
///
/// They count whether or not these items will be accepted: a later item that rests on a refused one is refused by the
/// domain, in the stream where it was looked for.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    introduced: HashMap<(IdKind, String), Vec<StreamName>>,
}

impl Overlay {
    /// Takes in an item of the batch that the edge prepared.
    pub fn learn(&mut self, envelope: &CommandEnvelope) {
        let introduced = envelope.command.introduces();
        if let Some(look_up) = introduced.as_ref().and_then(|address| LookUp::of(address).ok()) {
            let streams = self.introduced.entry((look_up.kind, look_up.id.to_owned())).or_default();
            if !streams.contains(&envelope.stream) {
                streams.push(envelope.stream.clone());
            }
        }
    }

    /// The streams in which earlier items introduce the id.
    pub(super) fn candidates(&self, look_up: LookUp<'_>) -> &[StreamName] {
        if self.introduced.is_empty() {
            return &[];
        }
        self.introduced.get(&(look_up.kind, look_up.id.to_owned())).map_or(&[], Vec::as_slice)
    }
}
