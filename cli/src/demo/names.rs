//! Names for a generated program: invented, and the same for the same draw.

/// Regions with the country codes of their partners.
pub(super) const REGIONS: [(&str, &[&str]); 4] = [
    ("EMEA", &["DE", "FR", "GB", "NL", "ES"]),
    ("Americas", &["US", "CA", "BR", "MX"]),
    ("APAC", &["JP", "AU", "SG", "IN"]),
    ("Nordics", &["SE", "NO", "DK", "FI"]),
];

/// Products with their list price in dollars.
pub(super) const PRODUCTS: [(&str, u32); 6] =
    [("Ledger Core", 48_000), ("Ledger Edge", 21_000), ("Insight", 15_500), ("Connect", 9_800), ("Vault", 32_000), ("Support Plus", 6_400)];

const FRONTS: [&str; 24] = [
    "Nord", "Alpen", "Blue", "Copper", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iron", "Juniper", "Keystone", "Lumen", "Maple",
    "Nimbus", "Orchard", "Pine", "Quarry", "River", "Summit", "Terra", "Umber", "Vertex", "Willow",
];
const PARTNER_BACKS: [&str; 10] = [
    "wind Systems",
    "bridge IT",
    "stone Consulting",
    "works Cloud",
    "field Networks",
    "path Partners",
    "line Digital",
    "gate Solutions",
    "port Data",
    "peak Services",
];
const CUSTOMER_BACKS: [&str; 14] = [
    "Foods",
    "Logistics",
    "Insurance",
    "Motors",
    "Energy",
    "Pharma",
    "Retail",
    "Textiles",
    "Airlines",
    "Bank",
    "Media",
    "Steel",
    "Hospitals",
    "Chemicals",
];
const FIRST_NAMES: [&str; 16] = [
    "Ada", "Bruno", "Chiara", "Dmitri", "Elena", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kaya", "Liam", "Mara", "Nils", "Oona", "Priya",
];
const LAST_NAMES: [&str; 14] = [
    "Albrecht", "Bianchi", "Costa", "Duval", "Eriksen", "Fischer", "Gupta", "Hansen", "Ito", "Jensen", "Keller", "Lopez", "Meyer", "Novak",
];

/// The `n`th partner's name: different for every `n` below 240, numbered after that.
pub(super) fn partner(n: usize) -> String {
    let (front, back) = (FRONTS[n % FRONTS.len()], PARTNER_BACKS[(n / FRONTS.len()) % PARTNER_BACKS.len()]);
    numbered(format!("{front}{back}"), n / (FRONTS.len() * PARTNER_BACKS.len()))
}

/// The `n`th customer's name.
pub(super) fn customer(n: usize) -> String {
    let (front, back) = (FRONTS[n % FRONTS.len()], CUSTOMER_BACKS[(n / FRONTS.len()) % CUSTOMER_BACKS.len()]);
    numbered(format!("{front} {back}"), n / (FRONTS.len() * CUSTOMER_BACKS.len()))
}

/// The `n`th person's name.
pub(super) fn person(n: usize) -> String {
    format!("{} {}", FIRST_NAMES[n % FIRST_NAMES.len()], LAST_NAMES[(n / FIRST_NAMES.len()) % LAST_NAMES.len()])
}

fn numbered(name: String, round: usize) -> String {
    if round == 0 { name } else { format!("{name} {}", round + 1) }
}

/// A domain under a name that nobody can register.
pub(super) fn domain(name: &str) -> String {
    let host: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{host}.example")
}
