//! Who sends a request, and what they may do.

use std::{collections::HashMap, sync::Arc};

use axum::http::{HeaderMap, StatusCode, header};

use pledger_ledger::edge::senders::{self, ReservedSender};

use crate::problem::Problem;

/// What a principal may do besides sending commands and asking questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether its commands may be history from before the ledger, in the name of an import.
    pub import: bool,
    /// Whether it may destroy a person's key.
    pub erase: bool,
    /// Whether a business date chooses the rules that were in force then.
    pub backdate: bool,
    /// Whether it may rebuild read models, put them in use, and have parked streams tried again.
    pub operate: bool,
    /// Whether it sees the names of persons where they are not erased; others see the sealed form.
    pub persons: bool,
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name that scopes idempotency keys and is recorded as the sender.
    pub name: Arc<str>,
    /// What it may do.
    pub rights: Rights,
}

/// Who is known by which bearer token.
#[derive(Clone, Debug)]
pub struct Principals {
    anonymous: Principal,
    by_token: HashMap<Box<str>, Principal>,
}

impl Default for Principals {
    /// Everybody is `anonymous`, who sees persons: a server without authentication is for those who may.
    fn default() -> Self {
        let rights = Rights { persons: true, ..Rights::default() };
        Self { anonymous: Principal { name: Arc::from("anonymous"), rights }, by_token: HashMap::new() }
    }
}

impl Principals {
    /// Lets whoever holds `token` be `principal`.
    ///
    /// # Errors
    /// Where the principal has a name that pledger itself sends as.
    pub fn with_token(mut self, token: &str, principal: Principal) -> Result<Self, ReservedSender> {
        senders::free(&principal.name)?;
        self.by_token.insert(token.into(), principal);
        Ok(self)
    }

    /// Who sends a request with these headers.
    ///
    /// # Errors
    /// 401 where there is an `Authorization` that nobody is known by.
    pub fn principal(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let Some(given) = headers.get(header::AUTHORIZATION) else { return Ok(self.anonymous.clone()) };
        let token = given.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        token.and_then(|token| self.by_token.get(token.trim())).cloned().ok_or_else(|| {
            Problem::new(StatusCode::UNAUTHORIZED, "UnknownToken", "nobody is known by the token in Authorization")
                .field("Authorization")
                .accepted("Bearer <token>, or no Authorization at all")
        })
    }

    /// Refuses whoever may not operate the service.
    pub(crate) fn operator(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Principal { name, rights } = self.principal(headers)?;
        if rights.operate {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "OperationNotAllowed", format!("{name} may not operate this service")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_principal_and_nobody_else() {
        let importer = Principal {
            name: Arc::from("owner"),
            rights: Rights { import: true, backdate: true, erase: true, operate: true, persons: true },
        };
        let principals = Principals::default().with_token("s3cret", importer.clone()).expect("a free name");
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
            principals.principal(&headers)
        };
        assert_eq!(principals.principal(&HeaderMap::new()).expect("anonymous").rights, Rights { persons: true, ..Rights::default() });
        assert_eq!(with("Bearer s3cret"), Ok(importer));
        for wrong in ["Bearer s3cre", "Basic s3cret", "s3cret", "Bearer "] {
            assert_eq!(with(wrong).expect_err(wrong).status(), StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn no_principal_goes_by_a_name_that_pledger_sends_as() {
        for name in ["import:crm", "policy:evaluate-tiers", "deadlines", "init"] {
            let principal = Principal { name: Arc::from(name), rights: Rights::default() };
            let refused = Principals::default().with_token("s3cret", principal).expect_err(name).to_string();
            assert!(refused.contains(name) && refused.contains("pledger itself sends as"), "{refused}");
        }
    }
}
