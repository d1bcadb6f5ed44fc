//! Rules: recording rules become series, alerting rules become alerts that have a state and are sent to Alertmanagers.
//!
//! What a rule file says is checked in [`rule_file`]; [`RuleManager`] runs the groups; [`Notifier`] sends. Owns no query
//! engine, no store, no network and no configuration file: they come through the traits in [`outside`], which the caller
//! implements. What becomes of an alert at an evaluation is decided purely, in `state`.

mod batches;
mod evaluate;
mod expand;
mod group;
pub mod limits;
mod manager;
mod metrics;
pub mod outside;
mod quantiles;
pub mod rehearse;
mod restore;
mod rule;
pub mod rule_file;
mod runner;
mod schedule;
pub mod send;
mod state;

pub use batches::batches;
pub use evaluate::recorded;
pub use expand::{AlertData, AlertTemplate, Expansions, alert_template, instance};
pub use group::{GroupView, Health, RuleView};
pub use manager::{RuleManager, RuleOptions, Terms};
pub use rule::{AlertTerms, GroupConfig, Pairs, RuleConfig, RuleKind, pair};
pub use send::Notifier;
pub use state::{ActiveAlert, AlertState, Instance, RuleAlerts};
