//! What OpenMetrics 1.0 forbids beyond what the parser refuses.

use super::ParseError;

/// Checks a body.
pub fn openmetrics(_body: &[u8]) -> Result<(), ParseError> {
    Ok(())
}
