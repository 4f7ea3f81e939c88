"""The local broker: a Knative MT channel-based Broker over JetStream, in one process."""
