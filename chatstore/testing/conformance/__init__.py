"""The conformance suite: what every store does alike, a file for each topic."""

from chatstore.testing.conformance.archiving import Archiving, DeletingOldest
from chatstore.testing.conformance.awaiting import Awaiting
from chatstore.testing.conformance.by_status import ByStatus
from chatstore.testing.conformance.conversations import Copying, Describing, Erasing, Metadata
from chatstore.testing.conformance.deleting_by_status import DeletingByStatus
from chatstore.testing.conformance.durable import Durable, Namespaces, Shared
from chatstore.testing.conformance.expiry import Expired, Living
from chatstore.testing.conformance.ids import Ids, Retrying
from chatstore.testing.conformance.isolation import Isolation
from chatstore.testing.conformance.iteration import Iterating
from chatstore.testing.conformance.keys import KeyLimits
from chatstore.testing.conformance.listing import Conversations, Keys
from chatstore.testing.conformance.reading import Reading, Records, Windows
from chatstore.testing.conformance.refusing import Refusing
from chatstore.testing.conformance.revisions import Expecting, Revisions
from chatstore.testing.conformance.states import States
from chatstore.testing.conformance.states_living import FindingEntries, StatesLiving
from chatstore.testing.conformance.states_saving import StatesSaving
from chatstore.testing.conformance.states_transfers import StatesConflicts, StatesTransfers
from chatstore.testing.conformance.threads import Threads
from chatstore.testing.conformance.transfers import Transfers
from chatstore.testing.conformance.undecodable import Undecodable
from chatstore.testing.conformance.upkeep import Checking, Closing, Privacy
from chatstore.testing.conformance.values import Values
from chatstore.testing.conformance.writing import (
    Appending,
    Deleting,
    Inserting,
    Replacing,
    Updating,
)

__all__ = ["AsyncTests", "DurableTests", "StoreTests"]


class StoreTests:
    """For every store."""

    TestAppending = Appending
    TestInserting = Inserting
    TestReplacing = Replacing
    TestUpdating = Updating
    TestDeleting = Deleting
    TestWindows = Windows
    TestReading = Reading
    TestRecords = Records
    TestIterating = Iterating
    TestRetrying = Retrying
    TestIds = Ids
    TestRevisions = Revisions
    TestExpecting = Expecting
    TestLiving = Living
    TestExpired = Expired
    TestArchiving = Archiving
    TestDeletingOldest = DeletingOldest
    TestByStatus = ByStatus
    TestDeletingByStatus = DeletingByStatus
    TestDescribing = Describing
    TestMetadata = Metadata
    TestCopying = Copying
    TestErasing = Erasing
    TestKeys = Keys
    TestConversations = Conversations
    TestKeyLimits = KeyLimits
    TestValues = Values
    TestRefusing = Refusing
    TestIsolation = Isolation
    TestUndecodable = Undecodable
    TestClosing = Closing
    TestChecking = Checking
    TestPrivacy = Privacy
    TestThreads = Threads
    TestTransfers = Transfers
    TestStates = States
    TestStatesSaving = StatesSaving
    TestStatesLiving = StatesLiving
    TestStatesTransfers = StatesTransfers
    TestStatesConflicts = StatesConflicts
    TestFindingEntries = FindingEntries


class DurableTests:
    """Besides, for stores whose data outlive them and are open to several at once."""

    TestDurable = Durable
    TestShared = Shared
    TestNamespaces = Namespaces


class AsyncTests:
    """Besides, for stores with the async face."""

    TestAwaiting = Awaiting
