//! The room rollout.
