//! `sojourn env`: lines on stdout, hints on stderr.

use clap::Args;

use super::ServerArguments;
use crate::client;
use crate::env_lines::{self, Stack};
use crate::failure::Failure;
use crate::output;
use crate::server_file::ServerFile;

#[derive(Debug, Args)]
pub struct EnvArguments {
    /// For which stack
    #[arg(long = "for", value_enum, default_value = "next", value_name = "STACK")]
    stack: Stack,
    /// Variables and code as one line for programs
    #[arg(long)]
    pub json: bool,
    /// Data folder of the running server [default: the one `serve` would use here]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file that names the data folder
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
}

pub fn env(arguments: &EnvArguments) -> Result<(), Failure> {
    let folder = client::data_folder(&ServerArguments {
        data: arguments.data.clone(),
        config: arguments.config.clone(),
        ..ServerArguments::default()
    })?;
    let Some(server) = ServerFile::read(&folder)? else {
        return Err(Failure {
            next: Some(format!("sojourn serve --data {}", folder.display())),
            ..client::not_found(&folder)
        });
    };
    let access = server.access();
    if arguments.json {
        return output::line(&env_lines::document(arguments.stack, &access).to_string());
    }
    output::line(&env_lines::lines(arguments.stack, &access))?;
    if let Some(hint) = env_lines::hint(arguments.stack) {
        output::note(&hint);
    }
    if !server.database.is_empty() {
        output::note(&format!("the server's database: {}", server.database));
    }
    Ok(())
}
