//! The credits of won deals in SQLite's SQL, from the views of the rows: those of `models`, in whole numbers of 64 bits.
//!
//! A quotient is taken digit by digit and a product in halves, so that nothing overflows while a deal has fewer than 3,000 touches.
//! Only what a touch's age makes of it is a floating-point number: weights by `time_decay` may differ from pledger's in their last
//! digit.

use super::{
    half_life::{FULL, STEPS},
    models::{Model, ONE, WEIGHT_PLACES},
};

/// What the share of the newest touch is by `time_decay`.
const FINE: u64 = 1 << 48;

/// The query of the view `attribution`.
pub(crate) fn query() -> String {
    let models: Vec<_> = Model::ALL.iter().map(|model| format!("('{}')", model.word())).collect();
    #[expect(clippy::cast_precision_loss, reason = "a floating-point number is what is wanted")]
    let steps: Vec<_> = STEPS.iter().zip(0..).map(|(step, place)| format!("({place}, {:.17})", *step as f64 / FULL as f64)).collect();
    let replaced = [
        ("{models}", models.join(", ")),
        ("{steps}", steps.join(", ")),
        ("{ln_2}", format!("{:.17}", std::f64::consts::LN_2)),
        ("{fine}", FINE.to_string()),
        ("{digits}", digits()),
        ("{places}", WEIGHT_PLACES.to_string()),
        ("{one}", ONE.to_string()),
    ];
    replaced.iter().fold(QUERY.to_owned(), |query, (name, text)| query.replace(name, text))
}

/// The decimal digits of each party's share of the total, one a table, and what is left over.
fn digits() -> String {
    let digit = |place: u32| {
        let (before, from) = match place {
            1 => (String::new(), "totals".to_owned()),
            _ => (format!("w{} * 10 + ", place - 1), format!("d{}", place - 1)),
        };
        let rest = place - 1;
        format!(
            ", d{place} AS MATERIALIZED (\n  SELECT account, deal, model, partner, channel, standing, currency, amount, closed_at, place, total, \
             {before}r{rest} * 10 / total AS w{place}, r{rest} * 10 % total AS r{place} FROM {from}\n)"
        )
    };
    (1..=WEIGHT_PLACES).map(digit).collect()
}

/// As in PostgreSQL: won deals, their touches, in order, the share of each touch, the parties' weights, their money. What is joined or
/// asked of twice is made once.
const QUERY: &str = "
WITH rules_of AS MATERIALIZED (
  SELECT version, rules, min(slice) AS slice FROM attribution_rules GROUP BY version
), touchpoint AS MATERIALIZED (
  SELECT account, touchpoint, occurred_at, partner, channel, kind, deal FROM touchpoints
), won AS (
  SELECT d.account, d.deal, d.sourced_by, d.registered_at, d.closed_at, d.currency, d.amount, r.rules,
    d.closed_at - (r.rules->>'window_days') * 86400000000 AS window_start,
    CASE WHEN d.closed_at % 86400000000 = 0 THEN d.closed_at + 86399999999 ELSE d.closed_at END AS last_instant
  FROM deals d JOIN rules_of r ON r.version = d.won_rules
  WHERE d.status = 'won' AND d.closed_at IS NOT NULL
), touches AS (
  SELECT w.account, w.deal, w.registered_at, w.closed_at, w.currency, w.amount, w.rules, t.touchpoint, t.kind,
    coalesce(t.occurred_at, w.registered_at) AS touched_at,
    CASE WHEN t.touchpoint IS NULL THEN w.sourced_by ELSE t.partner END AS partner,
    CASE WHEN t.touchpoint IS NOT NULL AND t.partner IS NULL THEN coalesce(t.channel, t.kind) END AS channel
  FROM won w
  LEFT JOIN touchpoint t ON t.account = w.account AND t.occurred_at BETWEEN w.window_start AND w.last_instant
    AND (t.deal IS NULL OR t.deal = w.deal)
    AND (json_array_length(w.rules, '$.kinds') = 0 OR t.kind IN (SELECT value FROM json_each(w.rules, '$.kinds')))
), journeys AS MATERIALIZED (
  SELECT *, row_number() OVER in_order AS n, count(*) OVER of_deal AS many,
    count(*) FILTER (WHERE touched_at <= registered_at) OVER of_deal AS led,
    (max(touched_at) OVER of_deal - touched_at) * 1.0 / (max(rules->>'half_life_days', 1) * 86400000000) AS half_lives,
    CASE
      WHEN max(touchpoint IS NULL) OVER of_deal OR registered_at <= min(touched_at) OVER of_deal
        OR first_value(partner IS NOT NULL AND kind = 'referral') OVER in_order THEN 'sourced'
      WHEN max(partner IS NOT NULL) OVER of_deal THEN 'influenced'
      ELSE 'neither' END AS standing
  FROM touches
  WINDOW of_deal AS (PARTITION BY account, deal), in_order AS (PARTITION BY account, deal ORDER BY touched_at, touchpoint)
), steps (place, step) AS MATERIALIZED (
  VALUES {steps}
), aged AS (
  SELECT *, min(CAST(half_lives AS INTEGER), 62) AS whole, (half_lives - CAST(half_lives AS INTEGER)) * 256 AS fraction FROM journeys
), milestones AS (
  SELECT aged.*, step, (fraction - place) * {ln_2} / 256 AS y, 1 + (led > 1) + (many > 1 AND many <> led) AS own
  FROM aged JOIN steps ON place = CAST(fraction AS INTEGER)
), models (model) AS (
  VALUES {models}
), shares AS (
  SELECT m.*, model, CASE model
    WHEN 'first' THEN n = 1
    WHEN 'last' THEN n = many
    WHEN 'linear' THEN 1
    WHEN 'u_shaped' THEN CASE
      WHEN n = 1 THEN CAST(round((rules->>'$.u_shaped[0]') * {one}.0) AS INTEGER) * max(many - 2, 1)
      WHEN n = many THEN CAST(round((rules->>'$.u_shaped[2]') * {one}.0) AS INTEGER) * max(many - 2, 1)
      ELSE CAST(round((rules->>'$.u_shaped[1]') * {one}.0) AS INTEGER) END
    WHEN 'w_shaped' THEN CASE
      WHEN n = 1 THEN CAST(round((rules->>'$.w_shaped[0]') * {one}.0) AS INTEGER) * max(many - own, 1)
      WHEN n = led THEN CAST(round((rules->>'$.w_shaped[1]') * {one}.0) AS INTEGER) * max(many - own, 1)
      WHEN n = many THEN CAST(round((rules->>'$.w_shaped[2]') * {one}.0) AS INTEGER) * max(many - own, 1)
      ELSE CAST(round((rules->>'$.w_shaped[3]') * {one}.0) AS INTEGER) END
    WHEN 'time_decay' THEN CASE WHEN many = 1 THEN 1 ELSE CAST(round(step * (1 - y * (1 - y / 2 * (1 - y / 3 * (1 - y / 4)))) / (1 << whole) * {fine}) AS INTEGER) END
    END AS share
  FROM milestones m, models
), parties AS MATERIALIZED (
  SELECT account, deal, model, partner, channel, standing, currency, amount, closed_at, min(n) AS place, sum(share) AS share
  FROM shares GROUP BY account, deal, model, partner, channel
), totals AS MATERIALIZED (
  SELECT *, CASE WHEN sum(share) OVER of_model = 0 THEN 1 ELSE share END AS r0,
    CASE WHEN sum(share) OVER of_model = 0 THEN count(*) OVER of_model ELSE sum(share) OVER of_model END AS total
  FROM parties WINDOW of_model AS (PARTITION BY account, deal, model)
){digits}, weights AS MATERIALIZED (
  SELECT account, deal, model, partner, channel, standing, currency, amount, closed_at, place,
    w{places} + (row_number() OVER (of_model ORDER BY r{places} DESC, place) <= {one} - sum(w{places}) OVER of_model) AS weight
  FROM d{places} WINDOW of_model AS (PARTITION BY account, deal, model)
), halves AS MATERIALIZED (
  SELECT *, abs(amount) / 1000000 AS a1, abs(amount) % 1000000 AS a0, weight / 1000000 AS b1, weight % 1000000 AS b0 FROM weights
), products AS MATERIALIZED (
  SELECT *, a1 * b1 + (a1 * b0 + a0 * b1) / 1000000 + ((a1 * b0 + a0 * b1) % 1000000 * 1000000 + a0 * b0) / {one} AS part,
    ((a1 * b0 + a0 * b1) % 1000000 * 1000000 + a0 * b0) % {one} AS remainder FROM halves
)
SELECT deal, CASE WHEN account LIKE 'none:%' THEN NULL ELSE account END AS account, partner, channel, model,
  (strftime('%Y', closed_at / 1000000, 'unixepoch') * 12 + (strftime('%m', closed_at / 1000000, 'unixepoch') - 1) / 3 * 3) AS quarter,
  currency, weight,
  sign(amount) * (part + (row_number() OVER (of_model ORDER BY remainder DESC, place) <= abs(amount) - sum(part) OVER of_model)) AS credited,
  standing, amount, closed_at
FROM products WHERE weight > 0 WINDOW of_model AS (PARTITION BY account, deal, model)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_put_in() {
        let query = query();
        assert!(!query.contains('{') && !query.contains('}'), "{query}");
    }
}
