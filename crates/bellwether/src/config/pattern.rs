//! File name patterns as Prometheus allows them: `*` in the last part of a path.

/// Whether a star, if there is one, stands in the last part only.
pub(super) fn only_last_part_has_star(path: &str) -> bool {
    path.find('*').is_none_or(|at| !path[at + 1..].contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_belongs_in_the_last_part() {
        for good in ["a.yml", "a/*.yml", "/etc/x/*-*.yml", ""] {
            assert!(only_last_part_has_star(good), "{good}");
        }
        for bad in ["*/a.yml", "a/*/*.yml"] {
            assert!(!only_last_part_has_star(bad), "{bad}");
        }
    }
}
