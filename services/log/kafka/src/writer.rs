//! A writer of facts: each append is one transaction, under an id that the newest writer of the name owns.

use std::sync::Arc;

use mainstem_kernel::log::{CommitError, LogError, Partition, Writer};
use mainstem_schemas::Batch;

use crate::cluster::Cluster;
use crate::producer::Transactions;
use crate::watch::Watch;

/// A writer.
pub(crate) struct KafkaWriter {
    transactions: Transactions,
    watch: Arc<Watch>,
}

impl KafkaWriter {
    pub(crate) fn open(
        cluster: Arc<Cluster>,
        watch: Arc<Watch>,
        name: &str,
    ) -> Result<Self, LogError> {
        let id = format!("{}-writer-{name}", cluster.options.project);
        let transactions = Transactions::open(cluster, &id, format!("writer {name}"))?;
        Ok(KafkaWriter {
            transactions,
            watch,
        })
    }
}

impl Writer for KafkaWriter {
    fn append(&mut self, records: &[(Partition, Batch)]) -> Result<(), CommitError> {
        let records: Vec<&(Partition, Batch)> = records.iter().collect();
        self.transactions.commit(&records, &[])?;
        self.watch.ring();
        Ok(())
    }
}
