//! Money: an exact number of minor units in an ISO 4217 currency.

use std::{cell::Cell, fmt};

use iso_currency::Currency as Iso;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

/// The largest amount, in minor units (fourteen digits): 90,000 of them still add up in 64 bits.
pub const MAX_MINOR: i64 = 99_999_999_999_999;

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// The currency is not an ISO 4217 code of a currency with minor units.
    #[error("{0:?} is not an ISO 4217 currency code")]
    Currency(String),
    /// The amount is not a plain decimal number.
    #[error("{0:?} is not a decimal number like \"1200.50\"")]
    Number(String),
    /// The amount is finer than the currency's smallest unit.
    #[error("{amount:?} has more than the {digits} decimal places of {currency}")]
    Precision {
        /// What was given.
        amount: String,
        /// The decimal places the currency has.
        digits: u32,
        /// The currency.
        currency: Currency,
    },
    /// The amount is outside what a ledger keeps.
    #[error("{0:?} is too large: at most fourteen digits of the smallest unit are kept")]
    Overflow(String),
    /// The amount is negative where only zero or more makes sense.
    #[error("{0:?} is negative")]
    Negative(String),
}

/// An ISO 4217 currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency(Iso);

impl Currency {
    /// The United States dollar.
    pub const USD: Self = Self(Iso::USD);

    /// Reads a three-letter code.
    ///
    /// # Errors
    /// `InvalidMoney::Currency` where ISO 4217 has no such currency, or one without minor units (gold, test codes).
    pub fn parse(code: &str) -> Result<Self, InvalidMoney> {
        thread_local! {
            // The library compares a code with every one there is, and amounts that follow each other mostly share theirs.
            static LAST: Cell<Currency> = const { Cell::new(Currency::USD) };
        }
        let last = LAST.get();
        if last.code() == code {
            return Ok(last);
        }
        let iso = Iso::from_code(code).filter(|iso| iso.exponent().is_some());
        let currency = iso.map(Self).ok_or_else(|| InvalidMoney::Currency(code.to_owned()))?;
        LAST.set(currency);
        Ok(currency)
    }

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal places the currency has.
    #[must_use]
    pub fn digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Currency;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 4217 currency code")
            }
            fn visit_str<E: de::Error>(self, code: &str) -> Result<Currency, E> {
                Currency::parse(code).map_err(E::custom)
            }
        }
        d.deserialize_str(Visitor)
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl utoipa::ToSchema for Currency {}

/// Money that may be negative (a margin, a difference). Written `{"amount":"-12.50","currency":"USD"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money {
    /// In the currency's smallest unit.
    minor: i64,
    currency: Currency,
}

impl Money {
    /// `minor` of the currency's smallest units. Sums may exceed `MAX_MINOR`; single amounts are checked by `parse`.
    #[must_use]
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads a decimal string exactly.
    ///
    /// # Errors
    /// Where it is no plain decimal, finer than the currency's smallest unit, or beyond `MAX_MINOR`.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, InvalidMoney> {
        let plain = amount.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-') && amount.len() <= 40;
        let unreadable = || match amount.strip_prefix('-').unwrap_or(amount) {
            digits if plain && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                InvalidMoney::Overflow(amount.to_owned())
            }
            _ => InvalidMoney::Number(amount.to_owned()),
        };
        let number: Decimal = plain.then(|| amount.parse().ok()).flatten().ok_or_else(unreadable)?;
        let number = number.normalize();
        let digits = currency.digits();
        // Beyond what a decimal holds it was rounded: what was written counts.
        let written = amount.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
        if written > digits as usize {
            return Err(InvalidMoney::Precision { amount: amount.to_owned(), digits, currency });
        }
        let overflow = || InvalidMoney::Overflow(amount.to_owned());
        let factor = i128::from(10_i64.pow(digits - number.scale()));
        let minor = number.mantissa().checked_mul(factor).ok_or_else(overflow)?;
        let minor = i64::try_from(minor).map_err(|_| overflow())?;
        if minor.unsigned_abs() > MAX_MINOR.unsigned_abs() {
            return Err(overflow());
        }
        Ok(Self { minor, currency })
    }

    /// The amount in the currency's smallest unit.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount as a decimal with the currency's decimal places.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.digits())
    }

    /// The sum, where both are of one currency and it fits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, currency: self.currency })
    }

    /// The difference, where both are of one currency and it fits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_sub(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, currency: self.currency })
    }

    /// Whether this is less than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut object = s.serialize_struct("Money", 2)?;
        object.serialize_field("amount", &DecimalText(self.minor, self.currency.digits()))?;
        object.serialize_field("currency", &self.currency)?;
        object.end()
    }
}

/// A decimal written as a string without an allocation.
struct DecimalText(i64, u32);

impl fmt::Display for DecimalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        if self.1 == 0 {
            return write!(f, "{sign}{minor}");
        }
        let unit = 10_u64.pow(self.1);
        write!(f, "{sign}{}.{:0width$}", minor / unit, minor % unit, width = self.1 as usize)
    }
}

impl Serialize for DecimalText {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form<'a> {
            #[serde(borrow)]
            amount: DecimalStr<'a>,
            currency: Currency,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Form<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"an object like {"amount":"1200.50","currency":"USD"}"#)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Form<'de>, A::Error> {
                Form::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }
        // Snapshots, which no human reads, hold the members without their names.
        let form = if d.is_human_readable() { d.deserialize_map(Visitor) } else { Form::deserialize(d) }?;
        Self::parse(&form.amount.0, form.currency).map_err(de::Error::custom)
    }
}

/// A string; a JSON number is told what is accepted instead.
struct DecimalStr<'a>(std::borrow::Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for DecimalStr<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = DecimalStr<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal string like \"1200.50\"")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(DecimalStr(text.into()))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(DecimalStr(text.to_owned().into()))
            }
        }
        d.deserialize_str(Visitor)
    }
}

/// Money of zero or more: what may be asked, paid, allocated or sold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Amount(Money);

impl Amount {
    /// Takes money of zero or more.
    ///
    /// # Errors
    /// `InvalidMoney::Negative`.
    pub fn new(money: Money) -> Result<Self, InvalidMoney> {
        if money.is_negative() {
            return Err(InvalidMoney::Negative(money.to_string()));
        }
        Ok(Self(money))
    }

    /// The money itself.
    #[must_use]
    pub const fn money(self) -> Money {
        self.0
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl std::ops::Deref for Amount {
    type Target = Money;
    fn deref(&self) -> &Money {
        &self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(Money::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// What OpenAPI shows for money.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the JSON form only")]
struct MoneyForm {
    /// Exact decimal.
    #[schema(example = "120000.00")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
}

macro_rules! money_schema {
    ($($name:ty),*) => {$(
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                MoneyForm::schema()
            }
        }
        impl utoipa::ToSchema for $name {}
    )*};
}
money_schema!(Money, Amount);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Amount, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn amounts_are_exact_decimal_strings() {
        for (json, minor, back) in [
            (r#"{"amount":"120000.00","currency":"USD"}"#, 12_000_000, "120000.00"),
            (r#"{"amount":"120000","currency":"USD"}"#, 12_000_000, "120000.00"),
            (r#"{"amount":"0.1","currency":"EUR"}"#, 10, "0.10"),
            (r#"{"amount":"500","currency":"JPY"}"#, 500, "500"),
            (r#"{"amount":"1.250","currency":"KWD"}"#, 1250, "1.250"),
            (r#"{"amount":"1.10000000000000000000000000000000","currency":"USD"}"#, 110, "1.10"),
        ] {
            let amount = parse(json).expect(json);
            assert_eq!(amount.minor(), minor, "{json}");
            let written = serde_json::to_value(amount).expect("serialises");
            assert_eq!(written["amount"], back, "{json}");
        }
    }

    #[test]
    fn what_is_not_money_is_refused_with_a_reason() {
        for (json, reason) in [
            (r#"{"amount":12,"currency":"USD"}"#, "a decimal string"),
            (r#"{"amount":"1e5","currency":"USD"}"#, "not a decimal number"),
            (r#"{"amount":"","currency":"USD"}"#, "not a decimal number"),
            (r#"{"amount":"0.001","currency":"USD"}"#, "decimal places of USD"),
            (r#"{"amount":"1.009999999999999999999999999999","currency":"USD"}"#, "decimal places of USD"),
            (r#"{"amount":"-1.00","currency":"USD"}"#, "is negative"),
            (r#"{"amount":"1000000000000.00","currency":"USD"}"#, "too large"),
            (r#"{"amount":"99999999999999999999999999999999999.00","currency":"USD"}"#, "not a decimal number"),
            (r#"{"amount":"1.00","currency":"XXQ"}"#, "not an ISO 4217"),
            (r#"{"amount":"1.00","currency":"USD","x":1}"#, "unknown field"),
        ] {
            let error = parse(json).expect_err(json);
            assert!(error.contains(reason), "{json}: {error}");
        }
    }

    #[test]
    fn currencies_never_mix() {
        let usd = Money::parse("1.00", Currency::USD).expect("money");
        let eur = Money::parse("1.00", Currency::parse("EUR").expect("EUR")).expect("money");
        assert_eq!(usd.checked_add(eur), None);
        assert_eq!(usd.checked_add(usd).expect("sum").to_string(), "2.00 USD");
    }
}
