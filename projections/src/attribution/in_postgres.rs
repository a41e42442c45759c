//! The credits of won deals in PostgreSQL's SQL: the whole numbers of `models`, from the views of the rows.

use super::{
    half_life::{FULL, LN_2, STEPS, TERMS},
    models::{Model, ONE},
};
use crate::sql::minor_unit;

/// 2^64, by which products of fractions are divided.
const SCALE: &str = "18446744073709551616";

/// The query of the view `attribution`; `{}` stands for the schema.
pub(crate) fn query() -> String {
    let models: Vec<_> = Model::ALL.iter().map(|model| format!("('{}')", model.word())).collect();
    let steps: Vec<_> = STEPS.iter().map(ToString::to_string).collect();
    let replaced = [
        ("{models}", models.join(", ")),
        ("{one}", ONE.to_string()),
        ("{unit}", minor_unit().to_owned()),
        ("{ln_2}", LN_2.to_string()),
        ("{steps}", format!("(ARRAY[{}]::numeric[])", steps.join(", "))),
        ("{series}", series()),
        ("{scale}", SCALE.to_owned()),
    ];
    replaced.iter().fold(QUERY.to_owned(), |query, (name, text)| query.replace(name, text))
}

/// e^-y by Horner's rule, as `half_life` has it.
fn series() -> String {
    (1..=TERMS).rev().fold(FULL.to_string(), |inner, term| format!("({FULL} - div(div(y * {inner}, {SCALE}) * 4, {term}))"))
}

/// Won deals under the rules that they were won under; their touches, in order, where there are none the registration; the share of
/// each touch by each model; the parties' weights, which split 1 by the shares, and their money, which splits the amount by the
/// weights, both by largest remainder.
const QUERY: &str = r#"
WITH won AS (
  SELECT d.*, r.rules, (r.rules->>'window_days')::integer AS window_days, (r.rules->>'half_life_days')::bigint AS half_life_days,
    CASE WHEN date_trunc('day', d.closed_at AT TIME ZONE 'UTC') = d.closed_at AT TIME ZONE 'UTC'
      THEN d.closed_at + interval '86399.999999 seconds' ELSE d.closed_at END AS last_instant
  FROM {}.deals d
  JOIN (SELECT DISTINCT ON (version) version, rules FROM {}.attribution_rules ORDER BY version, slice) r ON r.version = d.won_rules
  WHERE d.status = 'won' AND d.closed_at IS NOT NULL
), touches AS (
  SELECT w.account, w.deal, w.registered_at, w.closed_at, w.currency, w.amount, w.rules, w.half_life_days, t.touchpoint, t.kind,
    coalesce(t.occurred_at, w.registered_at) AS touched_at,
    CASE WHEN t.touchpoint IS NULL THEN w.sourced_by ELSE t.partner END AS partner,
    CASE WHEN t.touchpoint IS NOT NULL AND t.partner IS NULL THEN coalesce(t.channel, t.kind) END AS channel
  FROM won w
  LEFT JOIN {}.touchpoints t ON t.account = w.account AND t.occurred_at <= w.last_instant
    AND t.occurred_at >= w.closed_at - make_interval(hours => 24 * w.window_days)
    AND (t.deal IS NULL OR t.deal = w.deal)
    AND (jsonb_array_length(w.rules->'kinds') = 0 OR w.rules->'kinds' ? t.kind)
), journeys AS (
  SELECT *, row_number() OVER in_order AS n, count(*) OVER of_deal AS many,
    count(*) FILTER (WHERE touched_at <= registered_at) OVER of_deal AS led,
    (extract(epoch FROM max(touched_at) OVER of_deal - touched_at) * 1000000)::numeric AS age,
    greatest(half_life_days, 1) * 86400000000::numeric AS half_life,
    CASE
      WHEN bool_or(touchpoint IS NULL) OVER of_deal OR registered_at <= min(touched_at) OVER of_deal
        OR first_value(partner IS NOT NULL AND kind = 'referral') OVER in_order THEN 'sourced'
      WHEN bool_or(partner IS NOT NULL) OVER of_deal THEN 'influenced'
      ELSE 'neither' END AS standing
  FROM touches
  WINDOW of_deal AS (PARTITION BY account, deal),
    in_order AS (PARTITION BY account, deal ORDER BY touched_at, touchpoint COLLATE "C")
), shares AS (
  SELECT j.*, m.model, CASE m.model
    WHEN 'first' THEN (n = 1)::integer
    WHEN 'last' THEN (n = many)::integer
    WHEN 'linear' THEN 1
    WHEN 'u_shaped' THEN CASE
      WHEN n = 1 THEN round((rules->'u_shaped'->>0)::numeric * {one}) * greatest(many - 2, 1)
      WHEN n = many THEN round((rules->'u_shaped'->>2)::numeric * {one}) * greatest(many - 2, 1)
      ELSE round((rules->'u_shaped'->>1)::numeric * {one}) END
    WHEN 'w_shaped' THEN CASE
      WHEN n = 1 THEN round((rules->'w_shaped'->>0)::numeric * {one}) * greatest(many - milestones, 1)
      WHEN n = led THEN round((rules->'w_shaped'->>1)::numeric * {one}) * greatest(many - milestones, 1)
      WHEN n = many THEN round((rules->'w_shaped'->>2)::numeric * {one}) * greatest(many - milestones, 1)
      ELSE round((rules->'w_shaped'->>3)::numeric * {one}) END
    WHEN 'time_decay' THEN CASE
      WHEN many = 1 THEN 1
      WHEN age >= 62 * half_life THEN 0
      ELSE div(div({steps}[1 + div(fraction, 72057594037927936)::integer] * {series}, {scale}) * 4,
        2::numeric ^ div(age, half_life)) END
    END AS share
  FROM journeys j
  CROSS JOIN LATERAL (SELECT 1 + (led > 1)::integer + (many > 1 AND many <> led)::integer AS milestones,
    div(mod(age, half_life) * {scale}, half_life) AS fraction) f
  CROSS JOIN LATERAL (SELECT div(div(mod(fraction, 72057594037927936) * {ln_2}, {scale}), 4) AS y) y
  CROSS JOIN (VALUES {models}) m (model)
), parties AS (
  SELECT account, deal, model, partner, channel, standing, currency, amount, closed_at, min(n) AS place,
    CASE WHEN sum(sum(share)) OVER of_model = 0 THEN 1 ELSE sum(share) END AS share,
    CASE WHEN sum(sum(share)) OVER of_model = 0 THEN count(*) OVER of_model ELSE sum(sum(share)) OVER of_model END AS total,
    {unit} AS unit
  FROM shares
  GROUP BY account, deal, model, partner, channel, standing, currency, amount, closed_at
  WINDOW of_model AS (PARTITION BY account, deal, model)
), parts AS (
  SELECT *, div({one} * share, total) AS part, mod({one} * share, total) AS remainder FROM parties
), weights AS (
  SELECT account, deal, model, partner, channel, standing, currency, amount, closed_at, place, unit,
    part + (row_number() OVER (of_model ORDER BY remainder DESC, place) <= {one} - sum(part) OVER of_model)::integer AS weight
  FROM parts
  WINDOW of_model AS (PARTITION BY account, deal, model)
), money AS (
  SELECT *, div(round(abs(amount) / unit) * weight, {one}) AS part, mod(round(abs(amount) / unit) * weight, {one}) AS remainder FROM weights
), credits AS (
  SELECT *, sign(amount) * unit
    * (part + (row_number() OVER (of_model ORDER BY remainder DESC, place) <= round(abs(amount) / unit) - sum(part) OVER of_model)::integer)
    AS credited
  FROM money
  WINDOW of_model AS (PARTITION BY account, deal, model)
)
SELECT deal, CASE WHEN account LIKE 'none:%' THEN NULL ELSE account END AS account, partner, channel, model,
  date_trunc('quarter', closed_at AT TIME ZONE 'UTC')::date AS quarter, currency, round(weight / {one}::numeric, 12) AS weight,
  credited, standing, amount, closed_at
FROM credits WHERE weight > 0"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_put_in_but_the_schema() {
        let rest = query().replace("{}", "");
        assert!(!rest.contains('{') && !rest.contains('}'), "{rest}");
    }
}
