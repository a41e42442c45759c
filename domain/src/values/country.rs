//! Countries by their codes.

use std::fmt;

/// The assigned codes of ISO 3166-1 alpha-2, in order, and XK, which users of it give to Kosovo.
const CODES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI \
    CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ \
    GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS \
    LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG \
    PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK \
    TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// A text that is no assigned code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCountry(pub String);

impl fmt::Display for InvalidCountry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an assigned ISO 3166-1 alpha-2 code, such as \"DE\"", self.0)?;
        if self.0.eq_ignore_ascii_case("uk") { f.write_str("; the United Kingdom is \"GB\"") } else { Ok(()) }
    }
}

impl std::error::Error for InvalidCountry {}

/// The code in capitals, in whatever case it is given.
///
/// # Errors
/// `InvalidCountry`.
pub fn country_code(text: &str) -> Result<&'static str, InvalidCountry> {
    let is_it = |code: &&str| code.eq_ignore_ascii_case(text);
    CODES.split(' ').find(is_it).ok_or_else(|| InvalidCountry(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_codes_are_taken_in_any_case() {
        for (given, code) in [("DE", "DE"), ("us", "US"), ("gB", "GB"), ("AD", "AD"), ("zw", "ZW"), ("xk", "XK")] {
            assert_eq!(country_code(given), Ok(code));
        }
        for given in ["ZZ", "UK", "EU", "", "D", "DEU", "D E", " DE", "Germany", "AD AE"] {
            assert_eq!(country_code(given), Err(InvalidCountry(given.to_owned())));
        }
        assert_eq!(
            InvalidCountry("UK".into()).to_string(),
            "\"UK\" is not an assigned ISO 3166-1 alpha-2 code, such as \"DE\"; the United Kingdom is \"GB\""
        );
    }

    #[test]
    fn there_are_249_of_them_and_one_more_in_order() {
        let codes: Vec<&str> = CODES.split(' ').collect();
        assert_eq!(codes.len(), 250);
        assert!(codes.is_sorted() && codes.iter().all(|code| code.len() == 2));
    }
}
