//! The templates of a mapping: text with `{column}` in it.
//!
//! `{column}` is the row's value, `{table.column}` that of a looked-up row, `{name}` a constant of the mapping.
//! `{a || b}` takes the first that is not empty. A filter follows a bar: `{agent|slug}`, `{agent|lower}`,
//! `{manager|person}` (the id that the key store keeps for the person).

use std::collections::BTreeMap;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value { alternatives: Vec<String>, filter: Option<Filter> },
}

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    Slug,
    Lower,
    Person,
}

/// A text with values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    source: String,
    pieces: Vec<Piece>,
}

/// What a template is filled from.
pub(crate) trait Source {
    /// The value of a name; empty where there is none. An error where the name itself is unknown here.
    fn value(&mut self, name: &str) -> Result<String, String>;

    /// The id of a person.
    fn person(&mut self, name: &str) -> Result<String, String>;

    /// The first alternative was empty, and this one was taken.
    fn fell_back(&mut self, from: &str, to: &str);
}

impl Template {
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            let close = rest[open..].find('}').ok_or_else(|| format!("{source:?} has a {{ without a }}"))? + open;
            pieces.push(parse_value(&rest[open + 1..close], source)?);
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// Every name that the template asks for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Text(_) => [].iter(),
                Piece::Value { alternatives, .. } => alternatives.iter(),
            })
            .map(String::as_str)
    }

    /// The text, or nothing where a value in it is empty.
    pub(crate) fn fill(&self, source: &mut dyn Source) -> Result<Option<String>, String> {
        let mut text = String::with_capacity(self.source.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Value { alternatives, filter } => match first_value(alternatives, source)? {
                    Some(value) => text.push_str(&apply(*filter, value, source)?),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(text))
    }
}

fn parse_value(inside: &str, source: &str) -> Result<Piece, String> {
    let (names, filter) = match inside.replace("||", "\u{1}").split_once('|') {
        Some((names, filter)) => (names.to_owned(), Some(parse_filter(filter.trim(), source)?)),
        None => (inside.replace("||", "\u{1}"), None),
    };
    let alternatives: Vec<String> = names.split('\u{1}').map(|name| name.trim().to_owned()).collect();
    if alternatives.iter().any(String::is_empty) {
        return Err(format!("{source:?} has an empty name in {{}}"));
    }
    Ok(Piece::Value { alternatives, filter })
}

fn parse_filter(name: &str, source: &str) -> Result<Filter, String> {
    match name {
        "slug" => Ok(Filter::Slug),
        "lower" => Ok(Filter::Lower),
        "person" => Ok(Filter::Person),
        _ => Err(format!("{source:?} has the unknown filter {name:?}; there are slug, lower and person")),
    }
}

fn first_value(alternatives: &[String], source: &mut dyn Source) -> Result<Option<String>, String> {
    for name in alternatives {
        let value = source.value(name)?;
        if !value.is_empty() {
            if *name != alternatives[0] {
                source.fell_back(&alternatives[0], name);
            }
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn apply(filter: Option<Filter>, value: String, source: &mut dyn Source) -> Result<String, String> {
    Ok(match filter {
        None => value,
        Some(Filter::Lower) => value.to_lowercase(),
        Some(Filter::Slug) => slug(&value),
        Some(Filter::Person) => source.person(&value)?,
    })
}

/// Lower-case letters and digits, everything else a single hyphen.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// The payload of an emitted command: JSON with templates for its strings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    Text(Template),
    Fixed(serde_json::Value),
    List(Vec<Form>),
    Object(BTreeMap<String, Form>),
}

impl Form {
    pub(crate) fn parse(value: &toml::Value) -> Result<Self, String> {
        Ok(match value {
            toml::Value::String(text) => Self::Text(Template::parse(text)?),
            toml::Value::Boolean(flag) => Self::Fixed((*flag).into()),
            toml::Value::Integer(number) => Self::Fixed((*number).into()),
            toml::Value::Array(items) => Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            toml::Value::Table(fields) => {
                let fields = fields.iter().map(|(name, value)| Ok((name.clone(), Self::parse(value)?)));
                Self::Object(fields.collect::<Result<_, String>>()?)
            }
            toml::Value::Float(_) | toml::Value::Datetime(_) => return Err(format!("write {value} as a string")),
        })
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(template) => template.names().collect(),
            Self::Fixed(_) => Vec::new(),
            Self::List(items) => items.iter().flat_map(Self::names).collect(),
            Self::Object(fields) => fields.values().flat_map(Self::names).collect(),
        }
    }

    /// The JSON. What is empty is left out, and so is an object of which a part was left out and nothing but fixed
    /// texts remains.
    pub(crate) fn fill(&self, source: &mut dyn Source) -> Result<Option<serde_json::Value>, String> {
        Ok(match self {
            Self::Text(template) => template.fill(source)?.map(serde_json::Value::String),
            Self::Fixed(value) => Some(value.clone()),
            Self::List(items) => {
                let filled = items.iter().map(|item| item.fill(source)).collect::<Result<Vec<_>, _>>()?;
                Some(filled.into_iter().flatten().collect())
            }
            Self::Object(fields) => {
                let mut object = serde_json::Map::new();
                let mut left_out = false;
                for (name, form) in fields {
                    match form.fill(source)? {
                        Some(value) => drop(object.insert(name.clone(), value)),
                        None => left_out = true,
                    }
                }
                let only_fixed = fields.iter().all(|(name, form)| !object.contains_key(name) || form.names().is_empty());
                (!(left_out && only_fixed)).then_some(object.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Row(Vec<(&'static str, &'static str)>, Vec<String>);

    impl Source for Row {
        fn value(&mut self, name: &str) -> Result<String, String> {
            let found = self.0.iter().find(|(column, _)| *column == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or_else(|| format!("no column {name}"))
        }
        fn person(&mut self, name: &str) -> Result<String, String> {
            Ok(format!("person-{}", name.len()))
        }
        fn fell_back(&mut self, from: &str, to: &str) {
            self.1.push(format!("{from}->{to}"));
        }
    }

    fn row() -> Row {
        Row(vec![("agent", "Dustin O'Brien "), ("price", "550"), ("value", ""), ("account", "")], vec![])
    }

    #[test]
    fn values_are_put_in_filtered_and_replaced() {
        for (template, filled) in [
            ("{agent|slug}", Some("dustin-o-brien")),
            ("p-{price}", Some("p-550")),
            ("{value || price}", Some("550")),
            ("{value||price|lower}", Some("550")),
            ("{agent|person}", Some("person-15")),
            ("x{value}", None),
            ("fixed", Some("fixed")),
        ] {
            let parsed = Template::parse(template).expect(template);
            assert_eq!(parsed.fill(&mut row()).expect(template).as_deref(), filled, "{template}");
        }
        let mut counted = row();
        Template::parse("{value || price}").expect("parses").fill(&mut counted).expect("fills");
        assert_eq!(counted.1, ["value->price"]);
    }

    #[test]
    fn what_is_no_template_is_named() {
        for (template, error) in [("{a", "without a }"), ("{}", "empty name"), ("{a|loud}", "unknown filter")] {
            assert!(Template::parse(template).expect_err(template).contains(error), "{template}");
        }
        assert!(Template::parse("{nothing}").expect("parses").fill(&mut row()).is_err());
    }

    #[test]
    fn empty_values_leave_their_fields_out() {
        let form: toml::Value =
            toml::from_str("id = '{agent|slug}'\nlist = ['a', '{value}']\nflag = true\n[account]\nname = '{account}'\n[amount]\namount = '{price}'\ncurrency = 'USD'")
                .expect("toml");
        let filled = Form::parse(&form).expect("a form").fill(&mut row()).expect("fills");
        assert_eq!(
            filled,
            Some(json!({"id": "dustin-o-brien", "list": ["a"], "flag": true, "amount": {"amount": "550", "currency": "USD"}}))
        );
    }
}
