//! What a partner does in the program (F01).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a partner does (F01). One partner holds several roles at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum Role {
    Reseller,
    Var,
    Msp,
    Si,
    Isv,
    Referral,
    Influence,
    Consultant,
    Service,
    Technology,
    Distributor,
    Marketplace,
    Affiliate,
    Ambassador,
    Community,
    Individual,
    Analyst,
}

/// At least one role, each once: what is given twice is folded into one. Written as a list in the order of `Role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Role>", into = "BTreeSet<Role>")]
pub struct Roles(BTreeSet<Role>);

/// A list of roles without any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a partner has at least one role, such as \"reseller\"")]
pub struct NoRoles;

impl Roles {
    /// Each role once, in the order of `Role`.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Role> {
        self.0.iter().copied().collect()
    }
}

impl TryFrom<BTreeSet<Role>> for Roles {
    type Error = NoRoles;
    fn try_from(roles: BTreeSet<Role>) -> Result<Self, NoRoles> {
        if roles.is_empty() { Err(NoRoles) } else { Ok(Self(roles)) }
    }
}

impl From<Roles> for BTreeSet<Role> {
    fn from(roles: Roles) -> Self {
        roles.0
    }
}

impl utoipa::PartialSchema for Roles {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ArrayBuilder::new().items(Role::schema()).min_items(Some(1)).into()
    }
}

impl utoipa::ToSchema for Roles {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_given_twice_is_held_once() {
        let roles: Roles = serde_json::from_str(r#"["msp","reseller","msp"]"#).expect("roles");
        assert_eq!(roles.to_vec(), [Role::Reseller, Role::Msp]);
        assert_eq!(serde_json::to_string(&roles).expect("written"), r#"["reseller","msp"]"#);
    }

    #[test]
    fn nobody_is_without_a_role() {
        let error = serde_json::from_str::<Roles>("[]").expect_err("no roles");
        assert!(error.to_string().contains("at least one role"), "{error}");
    }
}
