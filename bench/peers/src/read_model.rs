//! The read model that both libraries rebuild: a row a deal, and the pipeline by region and stage.

use anyhow::{Result, ensure};
use sqlx::{Executor, PgPool};

use crate::account::{DealEvent, Stage};

const TABLES: &str = "
    CREATE TABLE deals (
        deal_id text PRIMARY KEY, account_id text NOT NULL, partner_id text NOT NULL, region text NOT NULL,
        amount bigint NOT NULL, stage text NOT NULL
    );
    CREATE TABLE pipeline (
        region text, stage text, deals bigint NOT NULL, amount bigint NOT NULL, PRIMARY KEY (region, stage)
    )";

const REGISTER: &str = "
    WITH deal AS (
        INSERT INTO deals (deal_id, account_id, partner_id, region, amount, stage) VALUES ($1, $2, $3, $4, $5, 'registered')
        RETURNING region, stage, amount
    )
    INSERT INTO pipeline SELECT region, stage, 1, amount FROM deal
    ON CONFLICT (region, stage) DO UPDATE SET deals = pipeline.deals + 1, amount = pipeline.amount + excluded.amount";

const MOVE: &str = "
    WITH deal AS (SELECT region, stage, amount FROM deals WHERE deal_id = $1),
    moved AS (UPDATE deals SET stage = $2 WHERE deal_id = $1),
    left_behind AS (
        UPDATE pipeline SET deals = pipeline.deals - 1, amount = pipeline.amount - deal.amount
        FROM deal WHERE pipeline.region = deal.region AND pipeline.stage = deal.stage
    )
    INSERT INTO pipeline SELECT region, $2, 1, amount FROM deal
    ON CONFLICT (region, stage) DO UPDATE SET deals = pipeline.deals + 1, amount = pipeline.amount + excluded.amount";

/// Tables that take one event after the other. An event is one statement and one commit: the fewest round trips that a
/// hook that is called with one event can make.
#[derive(Clone)]
pub(crate) struct ReadModel {
    pool: PgPool,
}

impl ReadModel {
    /// Empty tables.
    pub(crate) async fn create(pool: PgPool) -> Result<Self> {
        pool.execute(TABLES).await?;
        Ok(Self { pool })
    }

    /// Takes an event in.
    pub(crate) async fn take(&self, event: &DealEvent) -> Result<(), sqlx::Error> {
        match event {
            DealEvent::DealRegistered { account_id, deal_id, registration, .. } => {
                let row = sqlx::query(REGISTER).bind(deal_id).bind(account_id).bind(&registration.partner_id);
                row.bind(&registration.region).bind(registration.amount).execute(&self.pool).await?;
            }
            DealEvent::DealApproved { deal_id, .. } => self.put(deal_id, Stage::Approved).await?,
            DealEvent::StageAdvanced { deal_id, to, .. } => self.put(deal_id, *to).await?,
            DealEvent::DealWon { deal_id, .. } => self.put(deal_id, Stage::Won).await?,
        }
        Ok(())
    }

    async fn put(&self, deal_id: &str, stage: Stage) -> Result<(), sqlx::Error> {
        sqlx::query(MOVE).bind(deal_id).bind(stage.name()).execute(&self.pool).await.map(|_| ())
    }

    /// Fails unless so many deals are there, all won, and the pipeline says the same.
    pub(crate) async fn check(&self, deals: u64) -> Result<()> {
        let sql = "SELECT (SELECT count(*) FROM deals WHERE stage = 'won'),
                          (SELECT coalesce(sum(deals), 0)::bigint FROM pipeline WHERE stage = 'won'),
                          (SELECT count(*) FROM pipeline WHERE stage <> 'won' AND (deals, amount) <> (0, 0)),
                          (SELECT (sum(amount) = (SELECT sum(amount) FROM deals))::int::bigint FROM pipeline)";
        let counted: (i64, i64, i64, i64) = sqlx::query_as(sql).fetch_one(&self.pool).await?;
        let expected = i64::try_from(deals)?;
        ensure!(counted == (expected, expected, 0, 1), "the read model counts {counted:?} for {deals} deals");
        Ok(())
    }
}
