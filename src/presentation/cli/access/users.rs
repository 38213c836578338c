//! `correio users`

use std::io::{BufRead, IsTerminal, Write};

use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::application::ports::{Clock, Ids, Passwords, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::{Scope, Tenant};
use crate::domain::access::user::User;
use crate::infrastructure::auth::Argon2Passwords;
use crate::infrastructure::config::Config;
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::system::{SystemClock, SystemIds};
use crate::presentation::cli::error::CommandError;
use crate::presentation::cli::tenant::tenant;

/// Shorter ones are guessed.
const SHORTEST: usize = 8;

/// As much as a login takes.
const LONGEST: usize = 1024;

#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Make a user, who logs in with `POST /auth/login`. The password is read from standard input: its first line.
    Create {
        /// What the user logs in with, a name or an e-mail address; unique in the installation.
        #[arg(value_parser = user_name)]
        name: String,
        /// Whose rows it gives access to.
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// What the user may do; several by repeating it. Without any: all but administer.
        #[arg(long, value_delimiter = ',')]
        scope: Vec<Scope>,
    },
    /// List users, disabled ones too.
    List {
        #[arg(long, value_parser = tenant)]
        tenant: Option<Tenant>,
    },
    /// Disable a user: no login works any more, and tokens stop within 5 s in every process.
    Disable {
        #[arg(value_parser = user_name)]
        name: String,
    },
    /// Replace a user's password, read from standard input, and enable the user if disabled.
    Password {
        #[arg(value_parser = user_name)]
        name: String,
    },
}

pub async fn run(config: &Config, command: UsersCommand) -> Result<(), CommandError> {
    let database = match &command {
        // Also before the first start of a server.
        UsersCommand::Create { .. } => Database::open(config).await?,
        _ => Database::open_existing(config).await?,
    };
    let done = execute(&database, command).await;
    database.close().await;
    done
}

async fn execute(database: &Database, command: UsersCommand) -> Result<(), CommandError> {
    let users = &database.stores.users;
    match command {
        UsersCommand::Create { name, tenant, scope } => create(database, name, tenant, scope).await,
        UsersCommand::List { tenant } => {
            println!("NAME\tTENANT\tSCOPES\tCREATED\tDISABLED\tID");
            for user in users.list(tenant.as_ref()).await? {
                println!("{}", row(&user));
            }
            Ok(())
        }
        UsersCommand::Disable { name } => found(&name, users.disable(&name, SystemClock::new().now()).await?),
        UsersCommand::Password { name } => {
            if users.find_by_name(&name).await?.is_none() {
                return found(&name, false);
            }
            let hash = hashed(password(&name)?).await?;
            found(&name, users.set_password(&name, &hash).await?)
        }
    }
}

async fn create(database: &Database, name: String, tenant: Tenant, scopes: Vec<Scope>) -> Result<(), CommandError> {
    let everything_but_admin = || Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin).collect();
    let scopes = if scopes.is_empty() { everything_but_admin() } else { scopes };
    let (id, now) = (SystemIds::default().next(), SystemClock::new().now());
    let password_hash = hashed(password(&name)?).await?;
    database.stores.api_keys.ensure_tenant(&tenant, now).await?;
    let user = User { id, tenant, name: name.clone(), password_hash, scopes, created_at: now, disabled_at: None };
    match database.stores.users.insert(&user).await {
        Err(RepositoryError::Conflict) => Err(CommandError::Other(format!("there is a user `{name}` already"))),
        inserted => Ok(inserted?),
    }
}

async fn hashed(password: String) -> Result<String, CommandError> {
    let hashed = Argon2Passwords::default().hash(password).await;
    hashed.map_err(|error| CommandError::Other(error.to_string()))
}

fn found(name: &str, is_found: bool) -> Result<(), CommandError> {
    if is_found { Ok(()) } else { Err(CommandError::Other(format!("there is no user `{name}`"))) }
}

fn row(user: &User) -> String {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.format("%FT%TZ").to_string());
    let scopes: Vec<&str> = user.scopes.iter().map(|scope| scope.as_str()).collect();
    let fields = [
        user.name.clone(),
        user.tenant.to_string(),
        scopes.join(","),
        time(Some(user.created_at)),
        time(user.disabled_at),
        user.id.to_string(),
    ];
    fields.join("\t")
}

fn user_name(text: &str) -> Result<String, String> {
    User::parse_name(text.to_owned()).map_err(|_| "a name has 1 to 255 characters, none a control character".to_owned())
}

/// The first line of standard input; on a terminal it is asked for, and not shown.
fn password(name: &str) -> Result<String, CommandError> {
    let input = std::io::stdin();
    let mut line = String::new();
    let read = if input.is_terminal() {
        eprint!("Password of {name}: ");
        let _ = std::io::stderr().flush();
        let read = without_echo(|| input.lock().read_line(&mut line));
        eprintln!();
        read
    } else {
        input.lock().read_line(&mut line)
    };
    read.map_err(|error| CommandError::Other(format!("the password cannot be read: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if !(SHORTEST..=LONGEST).contains(&password.len()) {
        let sentence =
            format!("the password, the first line of standard input, must have {SHORTEST} to {LONGEST} bytes");
        return Err(CommandError::Other(sentence));
    }
    Ok(password)
}

fn without_echo<T>(read: impl FnOnce() -> T) -> T {
    let input = std::io::stdin();
    let Ok(shown) = tcgetattr(&input) else { return read() };
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let _ = tcsetattr(&input, OptionalActions::Now, &hidden);
    let read = read();
    let _ = tcsetattr(&input, OptionalActions::Now, &shown);
    read
}
