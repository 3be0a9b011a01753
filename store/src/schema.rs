use sqlx::PgConnection;
use sqlx::migrate::Migrate;

use crate::Error;

/// Whether the database has had every migration of this version of the code. It may have had later ones,
/// which keep to what this version needs.
pub async fn schema_is_current(connection: &mut PgConnection) -> Result<bool, Error> {
    let migrator = sqlx::migrate!();
    let applied = connection
        .list_applied_migrations(&migrator.table_name)
        .await
        .map_err(|source| Error::new("read the applied migrations", source.into()))?;
    let is_applied = |version| applied.iter().any(|migration| migration.version == version);
    Ok(migrator.iter().all(|migration| is_applied(migration.version)))
}
