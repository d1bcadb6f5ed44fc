//! Functions of labels: `label_replace` and `label_join`.

use base::{Error, METRIC_NAME, Result, compile_anchored};

use crate::eval::column::{Frame, merge_same_labels};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::{Kind, Node};

/// `label_replace(v, dst, replacement, src, regex)`.
pub(crate) fn replace(ev: &mut Evaluator<'_>, args: &[Node<'_>]) -> Result<Frame> {
    let (dst, replacement, src, pattern) = (text(args, 1)?, text(args, 2)?, text(args, 3)?, text(args, 4)?);
    let regex = compile_anchored(pattern)
        .map_err(|_| Error::invalid(format!("invalid regular expression in label_replace(): {pattern}")))?;
    if !is_label_name(dst) {
        return Err(Error::invalid(format!("invalid destination label name in label_replace(): {dst}")));
    }
    let mut frame = ev.frame(&args[0])?;
    ev.release_all(&frame);
    for column in &mut frame {
        let Some(found) = regex.captures(column.labels.get_or_empty(src)) else { continue };
        let mut value = String::new();
        found.expand(replacement, &mut value);
        let mut labels = column.labels.to_builder();
        labels.set(dst, &value);
        column.labels = labels.build();
        column.drop_name &= dst != METRIC_NAME;
    }
    merge_same_labels(frame)
}

/// `label_join(v, dst, separator, src…)`.
pub(crate) fn join(ev: &mut Evaluator<'_>, args: &[Node<'_>]) -> Result<Frame> {
    let (dst, separator) = (text(args, 1)?, text(args, 2)?);
    let sources = (3..args.len()).map(|i| text(args, i)).collect::<Result<Vec<_>>>()?;
    if let Some(src) = sources.iter().find(|s| !is_label_name(s)) {
        return Err(Error::invalid(format!("invalid source label name in label_join(): {src}")));
    }
    if !is_label_name(dst) {
        return Err(Error::invalid(format!("invalid destination label name in label_join(): {dst}")));
    }
    let mut frame = ev.frame(&args[0])?;
    ev.release_all(&frame);
    for column in &mut frame {
        let values: Vec<&str> = sources.iter().map(|s| column.labels.get_or_empty(s)).collect();
        let mut labels = column.labels.to_builder();
        labels.set(dst, &values.join(separator));
        column.labels = labels.build();
        column.drop_name &= dst != METRIC_NAME;
    }
    merge_same_labels(frame)
}

/// Whether a text can name a label: any that is not empty and is UTF-8. What was not is known by the replacement
/// character that string literals then have.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

/// The text of an argument that has to be a string literal.
pub(crate) fn text<'n>(args: &'n [Node<'_>], at: usize) -> Result<&'n str> {
    match args.get(at).map(|a| &a.kind) {
        Some(Kind::Text(text)) => Ok(text),
        _ => Err(Error::internal(format!("cannot read argument {} as a string", at + 1))),
    }
}
