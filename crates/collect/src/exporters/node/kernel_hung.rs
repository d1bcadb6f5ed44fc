//! Tasks that the kernel found hanging.

use super::{Failure, Scrape};
use crate::family::{Description, Families, counter};

const TASKS: Description = counter(
    "node_kernel_hung_tasks_total",
    "Total number of tasks that have been detected as hung since the system booted.",
);

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    out.add(&TASKS, scrape.tree.proc_number("sys/kernel/hung_task_detect_count")?, &[]);
    Ok(())
}
