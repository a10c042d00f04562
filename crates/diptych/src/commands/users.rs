//! `diptych users`: who may do what.

use std::path::Path;

use anyhow::Result;
use diptych_core::Role;
use diptych_stages::ctx::now;

use super::print;
use crate::args::Users;
use crate::{Usage, place, progress, table};

/// Does what was asked.
pub async fn run(folder: &Path, what: Users) -> Result<()> {
    let ctx = place::open(folder, progress::choose(true)).await?;
    match what {
        Users::List => {
            let people = ctx.store.people().await?;
            let rows: Vec<Vec<String>> = people
                .into_iter()
                .map(|person| vec![person.name, person.kind, person.responses.to_string()])
                .collect();
            print(&table::render(&["name", "kind", "responses"], &rows))?;
        }
        Users::Role { name, role } => {
            let Some(role) = Role::from_word(&role) else {
                let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
                return Err(Usage(format!("there is no role `{role}` (roles: {})", roles.join(", "))).into());
            };
            let person = ctx.store.person(&checked(&name)?, false, now()).await?;
            ctx.store.set_role(&ctx.sprint, &person.id, role).await?;
            print(&format!("{} is {role} of {}\n", person.name, ctx.config.sprint.slug))?;
        }
        Users::Token { name } => {
            let person = ctx.store.person(&checked(&name)?, false, now()).await?;
            let token = diptych_web::new_secret();
            ctx.store.add_token(&person.id, &token, now()).await?;
            print(&format!("{token}\n"))?;
        }
    }
    ctx.store.close().await;
    Ok(())
}

fn checked(name: &str) -> Result<String> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
        return Err(Usage("a name has 1 to 40 characters".to_owned()).into());
    }
    Ok(name)
}
