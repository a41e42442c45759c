//! What a server answers from the whole ledger: simulations and evidence, made as the verbs make them.

use axum::http::StatusCode;
use pledger_command_api::{About, Analyst, Bundle, Form, Problem, Simulated, Simulation};
use pledger_ledger::evidence::{EvidenceError, LedgerKey};

use crate::{
    context::Usage,
    ledger::Ledger,
    verbs::{
        evidence,
        simulate::{Report, Told, Unfit, simulate},
    },
};

/// Opens the key that evidence is signed with.
pub(crate) type OpenKey = Box<dyn Fn() -> Result<LedgerKey, EvidenceError> + Send + Sync>;

/// Reads a ledger through for every answer.
pub(crate) struct LedgerAnalyst {
    ledger: Ledger,
    key: OpenKey,
}

impl LedgerAnalyst {
    pub(crate) fn of(ledger: Ledger, key: OpenKey) -> Self {
        Self { ledger, key }
    }
}

impl Analyst for LedgerAnalyst {
    fn simulate(&self, asked: &Simulation, form: Form) -> Result<Simulated, Problem> {
        let limit = match form {
            Form::Json => asked.limit.unwrap_or(Simulation::LISTED),
            Form::Csv | Form::Lines => usize::MAX,
        };
        let report = simulate(&self.ledger, asked, limit, &Told::OVER_HTTP).map_err(|error| unsimulated(&error))?;
        let body = written(&report, form).map_err(|error| unsimulated(&error))?;
        Ok(Simulated { body, warnings: report.warnings() })
    }

    fn evidence(&self, about: &About) -> Result<Bundle, Problem> {
        let key = (self.key)().map_err(|error| unproven(&error))?;
        let file = evidence::bundle(&self.ledger, &key, about, &mut |_| {}).map_err(|error| {
            let unknown = evidence::unknown(&self.ledger, about, &error);
            unknown.map_or_else(|| unproven(&error), |unknown| Problem::not_found(unknown.to_string()).with("nearest", unknown.nearest))
        })?;
        Ok(Bundle { file, signed_by: key.public().to_string() })
    }
}

fn written(report: &Report, form: Form) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    match form {
        Form::Json => serde_json::to_writer(&mut body, &report.json())?,
        Form::Csv => report.csv(&mut body)?,
        Form::Lines => report.lines(&mut body)?,
    }
    Ok(body)
}

fn unsimulated(error: &anyhow::Error) -> Problem {
    match (error.downcast_ref::<Usage>(), error.downcast_ref::<Unfit>()) {
        (Some(Usage(detail)), _) => Problem::malformed("InvalidTime", detail.clone()),
        (None, Some(Unfit(detail))) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "NotSimulated", detail.clone()),
        (None, None) => Problem::internal(error.as_ref()),
    }
}

fn unproven(error: &EvidenceError) -> Problem {
    match error {
        EvidenceError::Nothing(_) => Problem::not_found(error.to_string()),
        EvidenceError::TooLong { .. } => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "EvidenceTooLong", error.to_string()),
        EvidenceError::Log(_)
        | EvidenceError::Damaged(_)
        | EvidenceError::Key { .. }
        | EvidenceError::Invalid(_)
        | EvidenceError::OtherKey { .. } => Problem::internal(error),
    }
}
