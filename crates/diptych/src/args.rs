//! What can be written on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Runs an open image-preference sprint, from a list of prompts to published votes.
#[derive(Debug, Parser)]
#[command(name = "diptych", version, max_term_width = 100)]
pub struct Args {
    /// The sprint's folder, the one that holds sprint.toml.
    #[arg(short = 'C', value_name = "DIR", default_value = ".", global = true)]
    pub folder: PathBuf,
    /// Prints results and errors only.
    #[arg(long, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes and runs a whole sprint with the embedded engines and simulated votes, then serves it.
    Demo {
        /// Where.
        #[arg(default_value = "diptych-demo")]
        dir: PathBuf,
        /// The address to serve on.
        #[arg(long, default_value = "127.0.0.1:7860")]
        addr: SocketAddr,
        /// How many of the bundled prompts.
        #[arg(long, value_name = "N", default_value_t = 60)]
        prompts: usize,
        /// Stops before serving.
        #[arg(long)]
        no_serve: bool,
    },
    /// Writes a commented sprint.toml into a new folder.
    New {
        /// Where.
        dir: PathBuf,
        /// A file of prompts; may be given more than once.
        #[arg(long, value_name = "FILE")]
        prompts: Vec<PathBuf>,
        /// What the configuration begins as.
        #[arg(long, value_enum, value_name = "NAME", default_value = "plain")]
        template: Template,
    },
    /// Tries every engine, database and blob store that the configuration names; changes nothing.
    Check,
    /// Runs the batch stages in order, only what is not done yet.
    Run {
        /// collect, clean, screen, enhance, generate, pair, or one of screen-prompts,
        /// screen-variants, screen-images. All of them where none is named.
        stages: Vec<String>,
        /// The last stage to run.
        #[arg(long, value_name = "STAGE")]
        until: Option<String>,
        /// Takes only this many prompts to pairs and writes a contact sheet of their images.
        #[arg(long, value_name = "N")]
        first: Option<usize>,
        /// Prints how many units, calls and how much money each stage would take; does nothing.
        #[arg(long)]
        dry_run: bool,
        /// Tries again what has failed.
        #[arg(long)]
        retry_failed: bool,
    },
    /// Prints the counts of every stage.
    Status {
        /// As one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Serves the pages and the API for every sprint of the server.
    Serve {
        /// The address to serve on; 0.0.0.0 for the whole network.
        #[arg(long, default_value = "127.0.0.1:7860")]
        addr: SocketAddr,
    },
    /// Prints agreement and win ratios.
    Report {
        /// As one JSON document.
        #[arg(long)]
        json: bool,
        /// Writes a page into this file.
        #[arg(long, value_name = "FILE", conflicts_with = "safety")]
        html: Option<PathBuf>,
        /// How well each classifier does, by what people have reviewed.
        #[arg(long)]
        safety: bool,
        /// With --safety: what another threshold would change, as CLASSIFIER=SCORE.
        #[arg(long, value_name = "CHANGE", requires = "safety")]
        threshold: Option<String>,
    },
    /// Queries the sprint's tables, or files of other people's results as the table `train`.
    Sql {
        /// The query.
        query: Option<String>,
        /// A file that holds the query.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Parquet, JSONL or CSV files that become the table `train`; needs no sprint.
        #[arg(long, value_name = "PATTERN")]
        train: Option<String>,
        /// How to print the rows.
        #[arg(long, value_enum, default_value = "table")]
        format: SqlFormat,
    },
    /// Writes the datasets with their cards.
    Publish {
        /// A folder.
        #[arg(long, value_name = "DEST")]
        to: String,
        /// preferences, results or binarized; all three where none is named.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
    },
    /// Takes in what exists already.
    Import {
        /// What.
        #[command(subcommand)]
        what: Import,
    },
    /// Writes a consistent copy of the server (rows, images, configurations) into one file, also while it serves.
    Backup {
        /// A new file.
        file: PathBuf,
        /// Leaves the images out.
        #[arg(long)]
        no_blobs: bool,
    },
    /// Brings a backup back into a folder, or a database, that has nothing yet.
    Restore {
        /// What `backup` has written.
        file: PathBuf,
    },
    /// The classifiers' model files on this machine.
    Models {
        /// What.
        #[command(subcommand)]
        what: Models,
    },
    /// Says who may do what.
    Users {
        /// What.
        #[command(subcommand)]
        what: Users,
    },
}

/// What `import` takes in.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Two or more folders of images, paired by file stem.
    Images {
        /// A model's key and its folder.
        #[arg(long = "model", value_name = "KEY=DIR", required = true)]
        models: Vec<String>,
        /// A manifest of prompts: columns `stem` (or `file_name`) and `prompt`.
        #[arg(long, value_name = "FILE")]
        prompts: Option<PathBuf>,
    },
}

/// What `users` does.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Everybody, with how many of their answers count.
    List,
    /// Gives a person a role in this sprint.
    Role {
        /// The person's name.
        name: String,
        /// annotator, moderator or organizer.
        role: String,
    },
    /// Prints a link with which people come in under names of their own.
    Invite {
        /// annotator or moderator.
        #[arg(long, default_value = "annotator")]
        role: String,
        /// How many people may come with it.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        places: u32,
        /// For how many days.
        #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
    },
    /// Lets a person's answers to this sprint no longer count: they are kept, and others are asked in their place.
    Exclude {
        /// The person's name.
        name: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Lets them count again.
    Include {
        /// The person's name.
        name: String,
    },
    /// Prints one bearer token for a person, made if need be.
    Token {
        /// The person's name.
        name: String,
    },
    /// Takes all of a person's tokens back.
    Revoke {
        /// The person's name.
        name: String,
    },
}

/// How `sql` prints rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    /// For people.
    Table,
    /// Comma-separated values.
    Csv,
    /// One array of rows.
    Json,
    /// A Parquet file.
    Parquet,
}

/// What a new configuration begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// The embedded word list screens texts; images are not screened.
    Plain,
    /// Two classifiers for texts and two for images.
    Screened,
}

/// What is done with model files.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Prints every known model and what is there of it.
    List,
    /// Fetches models; one that is there and whole is left as it is.
    Fetch {
        /// Which.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Reads models and compares them with their checksums; all that are there where none is named.
    Verify {
        /// Which.
        names: Vec<String>,
    },
}
