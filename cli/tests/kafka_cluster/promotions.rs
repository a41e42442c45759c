//! Whoever keeps the read models is killed while it puts a generation in use: one is in use then, as a whole, and the same may be
//! asked for again.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tokio::runtime::{Builder, Runtime};

use crate::{
    generations::{post, states},
    processes::{Process, pledger, until},
    reading::{Told, over_http},
    schemas::InPostgres,
};

/// Which generation each view shows, and which is said to be in use, at one instant.
const SHOWN: &str = "SELECT DISTINCT table_schema::text FROM information_schema.view_table_usage \
     WHERE view_schema = '{}' AND table_schema <> view_schema \
     UNION ALL SELECT schema FROM {}_state.generations WHERE in_use";

/// Something in the database that others wait for until it is dropped.
struct Held {
    runtime: Runtime,
    connection: PgConnection,
}

impl Held {
    fn by(home: &InPostgres, sql: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sql = format!("BEGIN; {}", sql.replace("{}", &home.schema));
        let connection = runtime.block_on(async {
            let mut connection = home.options().connect().await?;
            connection.execute(AssertSqlSafe(sql)).await?;
            Ok::<_, sqlx::Error>(connection)
        });
        Self { runtime, connection: connection.expect("it is free") }
    }

    /// Lets them go on.
    fn release(mut self) {
        self.runtime.block_on(self.connection.execute("COMMIT")).expect("committed");
    }
}

/// The view that a promotion makes anew, so that it stops in the middle of the others.
fn view(home: &InPostgres) -> Held {
    Held::by(home, "SELECT FROM {}.deals LIMIT 1")
}

/// The order that was just taken, so that it is not answered.
fn order(home: &InPostgres) -> Held {
    Held::by(home, "SELECT FROM {}_state.orders WHERE taken_at IS NOT NULL AND status IS NULL FOR UPDATE")
}

fn until_waits(home: &InPostgres, query: &str) {
    let waits = format!("SELECT 'waits' FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '{query}'");
    until("it waits for what is held", || home.sql(&waits).is_ok_and(|rows| !rows.is_empty()));
}

/// The one generation that SQL shows, which is the one in use.
fn shown(told: &Told) -> String {
    let rows = told.home.sql(SHOWN).expect("the catalogue");
    let [views, in_use] = &rows[..] else { panic!("views of several generations, or several in use: {rows:?}") };
    assert_eq!(views, in_use);
    views[0].rsplit_once("_g").expect("a generation's schema").1.to_owned()
}

fn keeps(process: &Process) -> bool {
    process.metric("pledger_projections_keeper") > 0.5
}

fn credit(process: &Process) -> Value {
    over_http(process, "/v1/attribution?by=deal,partner&model=time_decay&limit=10000")["items"].clone()
}

/// Other rules, and a generation under them that is not in use; what the one in use and the other one say.
fn other_rules(told: &Told, process: &Process) -> Value {
    let place = ["--kafka", &told.cluster.brokers, "--topic-prefix", &told.cluster.prefix];
    let shown = pledger().args(["rules", "show"]).args(place).output().expect("pledger");
    let rules = String::from_utf8(shown.stdout).expect("text").replacen("half_life_days = 7", "half_life_days = 70", 1);
    assert_eq!(process.send("PublishRules", &json!({"program": rules}), "rules-2").0, 200);
    told.succeed(&["rebuild"], &["--rules-version", "2"]);
    assert_eq!(states(told), ["1 in_use", "2 ready"]);
    credit(process)
}

pub(crate) fn a_keeper_that_is_killed_in_a_promotion_leaves_one_generation_in_use(brokers: &str) {
    let told = Told::begin(brokers, "12");
    let first = told.serve(&[]);
    until("it keeps the read models", || keeps(&first));
    let (second, third) = (told.serve(&[]), told.serve(&[]));
    let before = other_rules(&told, &first);
    let (token, is_over) = (third.token(), AtomicBool::new(false));
    thread::scope(|scope| {
        let over = Over(&is_over);
        let watching: ScopedJoinHandle<'_, usize> = scope.spawn(|| {
            let looks = std::iter::repeat_with(|| shown(&told)).take_while(|_| !is_over.load(Ordering::Acquire));
            looks.fold((0, "1".to_owned()), |(count, before), now| (count + usize::from(now != before), now)).0
        });

        // Some views are made anew, others are not, and nothing is committed.
        let held = view(&told.home);
        let asking = scope.spawn(|| post(&third, "/v1/generations/2/promote", &token));
        until_waits(&told.home, &format!("CREATE OR REPLACE VIEW {}.\"deals\"%", told.home.schema));
        first.signal("-KILL");
        held.release();
        let (status, answered) = asking.join().expect("it asked");
        assert_eq!((status, &answered["code"]), (503, &json!("ReadModelsUnavailable")), "{answered}");
        until("another one keeps the read models", || keeps(&second) || keeps(&third));
        assert_eq!((shown(&told).as_str(), states(&told)), ("1", vec!["1 in_use".to_owned(), "2 ready".to_owned()]));
        assert_eq!([&second, &third].map(credit), [before.clone(), before.clone()]);

        // It is in use, and the answer is on its way to the database.
        let [keeper, other] = if keeps(&second) { [&second, &third] } else { [&third, &second] };
        let (token, held) = (other.token(), view(&told.home));
        let asking = scope.spawn(move || post(other, "/v1/generations/2/promote", &token));
        until_waits(&told.home, &format!("CREATE OR REPLACE VIEW {}.\"deals\"%", told.home.schema));
        let unanswered = order(&told.home);
        held.release();
        until_waits(&told.home, &format!("UPDATE {}_state.orders SET status%", told.home.schema));
        assert_eq!(shown(&told), "2");
        keeper.signal("-KILL");
        unanswered.release();
        let (status, answered) = asking.join().expect("it asked");
        assert_eq!((status, &answered["generation"]), (200, &json!(2)), "{answered}");
        until("the last one keeps the read models", || keeps(other));
        until("it answers by the other rules", || credit(other) != before);
        assert_eq!(states(&told), ["1 replaced", "2 in_use"]);
        let (status, answered) = post(other, "/v1/generations/2/promote", &other.token());
        assert_eq!((status, &answered["code"]), (409, &json!("GenerationInUse")), "{answered}");
        assert!(told.succeed(&["verify", "--projections"], &[]).contains("equal a fresh fold"));
        let (status, answered) = post(other, "/v1/generations/rollback", &other.token());
        assert_eq!((status, &answered["generation"]), (200, &json!(1)), "{answered}");
        assert_eq!((shown(&told).as_str(), credit(other)), ("1", before));
        assert!(told.succeed(&["verify", "--projections"], &[]).contains("equal a fresh fold"));
        drop(over);
        assert_eq!(watching.join().expect("one at a time"), 2, "it was seen to change twice");
    });
}

/// Ends who watches, also where something panicked.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
