//! Faulty file systems and object stores, for tests.
