"""The rows of the cluster: people, hosts and what they offer, and the record of every change."""

from hosts.models.ability import HostAbility, HostProcessors, HostSupply
from hosts.models.alarm import Alarm
from hosts.models.audit import AuditEntry
from hosts.models.filling import Filling
from hosts.models.host import Host, Lease, Worker
from hosts.models.network import HostInterfaces, NetworkClaim, NetworkFilter
from hosts.models.operation import Operation, OperationLog, OperationSignal
from hosts.models.people import ApiToken, User
from hosts.models.resources import Network, StoragePool
from hosts.models.sample import Sample
from hosts.models.storage import OperationSecret, StorageClaim, StorageTypes, StorageVolume

__all__ = [
    "Alarm",
    "ApiToken",
    "AuditEntry",
    "Filling",
    "Host",
    "HostAbility",
    "HostInterfaces",
    "HostProcessors",
    "HostSupply",
    "Lease",
    "Network",
    "NetworkClaim",
    "NetworkFilter",
    "Operation",
    "OperationLog",
    "OperationSecret",
    "OperationSignal",
    "Sample",
    "StorageClaim",
    "StoragePool",
    "StorageTypes",
    "StorageVolume",
    "User",
    "Worker",
]
