//! A database for tests of modules that use statements of a cluster.

use sqlx::PgPool;

use super::profiles::ProfileLeases;
use crate::metrics::StoreMetrics;
use crate::store::measured::ClusterDatabase;

const SCHEMA: [&str; 5] = [
    include_str!("../schema/0001_sessions_and_executions.sql"),
    include_str!("../schema/0002_profiles.sql"),
    include_str!("../schema/0003_scrapes.sql"),
    include_str!("../schema/0004_nodes.sql"),
    include_str!("../schema/0005_cluster.postgres.sql"),
];

/// Creates the tables in an empty database.
pub(crate) async fn open_test_database(url: &str) -> ProfileLeases {
    let pool = PgPool::connect(url).await.expect("a database");
    for sql in SCHEMA {
        sqlx::raw_sql(sql).execute(&pool).await.expect("created");
    }
    ProfileLeases::new(ClusterDatabase::new(pool, StoreMetrics::default()))
}
