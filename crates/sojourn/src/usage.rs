//! Errors of the argument parser, in the same form as all other errors.

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::command::Arguments;
use crate::failure::{Exit, Failure};

/// The error of the parser; `None` if help or the version was requested.
pub fn failure(error: &clap::Error, arguments: impl IntoIterator<Item = String>) -> Option<Failure> {
    let argument = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    let (code, what, why) = match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => return None,
        ErrorKind::InvalidSubcommand => (
            "command_unknown",
            format!("there is no command \"{}\"", context(error, ContextKind::InvalidSubcommand)),
            nearest(error, ContextKind::SuggestedSubcommand)
                .unwrap_or("no command has a similar name".to_owned()),
        ),
        ErrorKind::UnknownArgument => (
            "argument_unknown",
            format!("\"{argument}\" is not understood"),
            nearest(error, ContextKind::SuggestedArg)
                .unwrap_or("the command takes nothing like it".to_owned()),
        ),
        ErrorKind::MissingRequiredArgument => (
            "argument_missing",
            format!("{argument} is missing"),
            "the command cannot run without".to_owned(),
        ),
        ErrorKind::InvalidValue if value.is_empty() => {
            ("argument_invalid", format!("{argument} has no value"), "it needs one behind it".to_owned())
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            let values = context(error, ContextKind::ValidValue);
            let why = reason.unwrap_or(format!("it takes one of: {values}"));
            ("argument_invalid", format!("{argument} cannot be \"{value}\""), why)
        }
        ErrorKind::ArgumentConflict => {
            let other = context(error, ContextKind::PriorArg);
            ("arguments_conflict", format!("{argument} cannot be given"), format!("{other} is given too"))
        }
        // The first line of the parser's own message.
        _ => ("arguments_invalid", first_line(error), "the command line cannot be read".to_owned()),
    };
    let command = command_named(arguments);
    let usage = usage(error).filter(|_| matches!(code, "argument_missing" | "arguments_conflict"));
    let help = format!("{command} --help");
    let next = usage.map_or(help.clone(), |usage| format!("{usage}\n{help}"));
    Some(Failure::new(Exit::Usage, code, what).because(why).next(next))
}

/// The longest command at the start of the arguments.
fn command_named(arguments: impl IntoIterator<Item = String>) -> String {
    let mut command = Arguments::command();
    let mut name = command.get_name().to_owned();
    for argument in arguments.into_iter().skip(1) {
        let Some(found) = command.find_subcommand(&argument).cloned() else { break };
        name = format!("{name} {argument}");
        command = found;
    }
    name
}

/// The parser sorts its suggestions by similarity; the last one is the most similar.
fn nearest(error: &clap::Error, kind: ContextKind) -> Option<String> {
    let names = context(error, kind);
    let name = names.rsplit(", ").next().filter(|name| !name.is_empty())?;
    Some(format!("the nearest that there is: {name}"))
}

fn usage(error: &clap::Error) -> Option<String> {
    let usage = context(error, ContextKind::Usage);
    let usage = usage.trim().strip_prefix("Usage:")?;
    Some(usage.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        Some(ContextValue::StyledStrs(texts)) => {
            texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn refused(line: &str) -> String {
        let arguments = line.split(' ').map(str::to_owned);
        let error = Arguments::try_parse_from(arguments.clone()).expect_err("refused");
        let failure = failure(&error, arguments).expect("a failure");
        assert_eq!(failure.exit, Exit::Usage);
        format!("$ {line}\nerror: {failure} ({})\n", failure.code)
    }

    #[test]
    fn the_parsers_errors_have_three_parts() {
        let shown: String = [
            "sojourn serv",
            "sojourn frobnicate",
            "sojourn serve --prot 4100",
            "sojourn users create",
            "sojourn users impersonate ada@example.com --actor support --for never",
            "sojourn users create --email",
            "sojourn users create --email a@example.com --password x --password-stdin",
            "sojourn serve now",
        ]
        .map(refused)
        .join("\n");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn help_and_version_are_no_failures() {
        for line in ["sojourn --help", "sojourn serve --help", "sojourn --version", "sojourn users"] {
            let error = Arguments::try_parse_from(line.split(' ')).expect_err("not run");
            assert!(failure(&error, []).is_none(), "{line}");
        }
    }
}
