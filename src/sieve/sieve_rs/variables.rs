//! The variables of a script.

use std::collections::BTreeSet;

use super::strings;
use crate::sieve::syntax::{Call, Command, Place, SyntaxError};

/// Local variables of a script: sieve-rs runs nothing of a script with more than 256.
const VARIABLES_MAX: usize = 200;

/// Looks at every command and test.
pub(super) fn walk<'a>(commands: &'a [Command], look: &mut impl FnMut(&'a Call)) {
    for command in commands {
        walk_call(&command.call, look);
        walk(command.block.as_deref().unwrap_or_default(), look);
    }
}

fn walk_call<'a>(call: &'a Call, look: &mut impl FnMut(&'a Call)) {
    look(call);
    for test in &call.tests {
        walk_call(test, look);
    }
}

/// The variables that a script sets, and those it shares with its includes.
///
/// # Errors
/// Names what is not the name of a variable.
pub(super) fn collect_variables(
    commands: &[Command],
    variables: &mut BTreeSet<String>,
    globals: &mut BTreeSet<String>,
) -> Result<(), SyntaxError> {
    let mut fault = None;
    walk(commands, &mut |call| {
        let names: Vec<(Place, &str)> = call
            .arguments
            .iter()
            .flat_map(|argument| {
                argument
                    .value
                    .strings()
                    .into_iter()
                    .map(|text| (argument.position, text))
            })
            .collect();
        let name = match call.name.as_str() {
            "global" => {
                globals.extend(names.iter().map(|(_, name)| name.to_lowercase()));
                None
            }
            "set" => names.first().filter(|_| names.len() > 1),
            "setflag" | "addflag" | "removeflag" if call.arguments.len() > 1 => names.first(),
            "extracttext" => names.last(),
            _ => None,
        };
        if let Some((position, name)) = name {
            match variable(name) {
                Ok(Some(name)) => {
                    variables.insert(name);
                }
                Ok(None) => {}
                Err(message) => fault = Some(SyntaxError::new(*position, message)),
            }
        }
    });
    if variables.len() > VARIABLES_MAX {
        let start = Place {
            line: 1,
            column: 1,
            length: 1,
        };
        fault = Some(SyntaxError::new(start, format!("more than {VARIABLES_MAX} variables")));
    }
    fault.map_or(Ok(()), Err)
}

// A local variable's name in lower case; none for one of the namespace "global".
fn variable(name: &str) -> Result<Option<String>, String> {
    if !name.split('.').all(strings::is_identifier) {
        return Err(format!("{name:?} is not the name of a variable"));
    }
    strings::check_namespace(name)?;
    Ok((!name.contains('.')).then(|| name.to_lowercase()))
}
