//! Where the rows of a test's application are.

use std::{env, sync::Arc};

use sojourn_store::Store;
use tempfile::TempDir;

use crate::{memory::MemoryEngine, postgres::Database};

const ENGINE: &str = "SOJOURN_TEST_ENGINE";

/// SessionNotOpen with its last clone.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    Memory(Arc<MemoryEngine>),
    Folder(Arc<TempDir>),
    Server(Arc<Database>),
}

impl Home {
    /// A new one of the engine that the environment names; in memory where it
    /// names none, unless the story needs a real database.
    pub(crate) async fn new(real: bool) -> Self {
        let engine = env::var(ENGINE).unwrap_or_default();
        match engine.as_str() {
            "" | "memory" if !real => Self::Memory(Arc::default()),
            "" | "memory" | "sqlite" => Self::Folder(Arc::new(tempfile::tempdir().expect("a folder"))),
            "postgres" => Self::Server(Arc::new(Database::new().await)),
            other => panic!("{ENGINE} is memory, sqlite or postgres, not {other}"),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Memory(rows) => Store::Dyn(Arc::<MemoryEngine>::clone(rows)),
            Self::Folder(folder) => Store::sqlite(&folder.path().join("sojourn.db")).expect("a database"),
            Self::Server(database) => Store::postgres(&database.url()).await.expect("a database"),
        }
    }

    /// A store of another node on the same rows.
    ///
    /// # Panics
    /// It is SQLite, which one process has for itself.
    pub(crate) async fn open_beside(&self) -> Store {
        match self {
            Self::Memory(rows) => rows.node().into(),
            Self::Server(_) => self.open().await,
            Self::Folder(_) => panic!("nodes share no SQLite database"),
        }
    }

    /// Runs a statement on the rows, which nobody has open.
    pub(crate) async fn run(&self, statement: &str) {
        match self {
            Self::Memory(_) => panic!("rows in memory understand no statements: .on_sqlite()"),
            Self::Folder(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("sojourn.db")).expect("a file");
                file.execute_batch(statement).expect("understood");
            }
            Self::Server(database) => database.run(statement).await,
        }
    }

    /// Whether what is stored can be opened again.
    pub(crate) fn survives(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }
}
