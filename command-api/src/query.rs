//! Query parameters.

use axum::{extract::Query, http::Uri};
use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// The most parameters of a request.
const MAX_PARAMETERS: usize = 64;

/// The parameters of a request that nobody has read yet, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of the request's address.
    ///
    /// # Errors
    /// 400 where they cannot be read or are too many.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        if percent_decode_str(uri.query().unwrap_or_default()).decode_utf8().is_err() {
            return Err(Problem::malformed("MalformedQuery", "the query is not percent-encoded UTF-8"));
        }
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) if pairs.len() <= MAX_PARAMETERS => Ok(Self(pairs)),
            Ok(_) => Err(Problem::malformed("MalformedQuery", format!("there are more than {MAX_PARAMETERS} query parameters"))),
            Err(error) => Err(Problem::malformed("MalformedQuery", error.to_string())),
        }
    }

    /// The value of `name`, which may be given once.
    ///
    /// # Errors
    /// 400 where it is given again.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut values = self.take_all(name);
        match values.pop() {
            Some(_) if !values.is_empty() => {
                Err(Problem::malformed("MalformedQuery", format!("{name} is given {} times", values.len() + 1)).field(name))
            }
            value => Ok(value),
        }
    }

    /// Every value of `name`.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|(given, _)| given == name);
        self.0 = left;
        taken.into_iter().map(|(_, value): (String, String)| value).collect()
    }

    /// `limit`: from 1 to `max`, `default` where absent.
    ///
    /// # Errors
    /// 400.
    pub(crate) fn limit(&mut self, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(given) = self.take("limit")? else { return Ok(default) };
        given.parse().ok().filter(|limit| (1..=max).contains(limit)).ok_or_else(|| {
            Problem::malformed("InvalidLimit", format!("{given:?} is no limit"))
                .field("limit")
                .accepted(format!("a whole number from 1 to {max}"))
        })
    }

    /// Refuses what is left, where nothing else is accepted.
    ///
    /// # Errors
    /// 400, naming the first.
    pub(crate) fn none_left(&self, accepted: &[&str]) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::malformed("UnknownParameter", format!("there is no parameter {name:?} here"))
                .field(name.as_str())
                .accepted(accepted.to_vec())),
        }
    }

    /// What is left.
    pub(crate) fn into_rest(self) -> Vec<(String, String)> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Result<Parameters, Problem> {
        Parameters::of(&text.parse().expect("an address"))
    }

    #[test]
    fn parameters_are_taken_one_by_one() {
        let mut read = parameters("/v1/deals?by=month&partner=a&partner=b%20c&limit=7").expect("readable");
        assert_eq!(read.take("by"), Ok(Some("month".into())));
        assert_eq!(read.limit(5, 10), Ok(7));
        assert_eq!(read.take("cursor"), Ok(None));
        assert_eq!(read.none_left(&["by"]).expect_err("partner is left").code(), "UnknownParameter");
        assert_eq!(read.into_rest(), [("partner".to_owned(), "a".to_owned()), ("partner".to_owned(), "b c".to_owned())]);
    }

    #[test]
    fn bad_parameters_are_named() {
        for (query, code) in
            [("limit=0", "InvalidLimit"), ("limit=11", "InvalidLimit"), ("limit=x", "InvalidLimit"), ("limit=1&limit=2", "MalformedQuery")]
        {
            let mut read = parameters(&format!("/?{query}")).expect("readable");
            assert_eq!(read.limit(5, 10).expect_err(query).code(), code, "{query}");
        }
        let many = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(parameters(&format!("/?{many}")).expect_err("too many").code(), "MalformedQuery");
    }
}
