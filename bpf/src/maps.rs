//! The maps. Names, kinds and layouts are part of the ABI; sizes are defaults that the loader may
//! raise.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, SkStorage},
    macros::btf_map,
};
use etm_abi::{
    Affinity, AffinityKey, Backend, BackendReason, CALLER_PLACES, CHOICE_PLACES, CachedCaller,
    Caller, Choice, Counter, Ejection, Event, FLOW_SLOTS, Flow, HEALTH_POLICIES, HealthPolicy,
    MAX_REASONS, MAX_SOURCES, Meta, NamePart, Outcomes, ServiceCell4, ServiceCell6, ShunnedKey,
    SourceKey, UdpFlow, UdpFlowKey, UdpReverse, UdpReverseKey,
};
use etm_decide::Line;

const MMAPABLE: usize = BPF_F_MMAPABLE as usize;
const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

#[btf_map]
pub static SERVICES4: Array<ServiceCell4, 131_072, MMAPABLE> = Array::new();

#[btf_map]
pub static SERVICES6: Array<ServiceCell6, 131_072, MMAPABLE> = Array::new();

/// Pods of this node by their cgroups.
#[btf_map]
pub static CALLERS: HashMap<u64, Caller, 8_192, NO_PREALLOC> = HashMap::new();

/// Where processes lately turned out to belong.
#[btf_map]
pub static CALLER_CACHE: Array<CachedCaller, { CALLER_PLACES as usize }, MMAPABLE> = Array::new();

/// Another number after each change of `CALLERS`.
#[btf_map]
pub static CALLER_EPOCH: Array<u64, 1, MMAPABLE> = Array::new();

/// From where a frontend may be called; the value says nothing.
#[btf_map]
pub static SOURCES: LpmTrie<SourceKey, u32, { MAX_SOURCES as usize }> = LpmTrie::new();

/// Which members callers were hashed to lately. Memory-mapped so that no record is in two cache lines.
#[btf_map]
pub static CHOICES: Array<Choice, { CHOICE_PLACES as usize }, MMAPABLE> = Array::new();

/// What callers get of frontends of which that depends on who calls, or is divided.
#[btf_map]
pub static ROUTES: Array<Line, 16_384, MMAPABLE> = Array::new();

/// Sixteen 32-bit slots an element.
#[btf_map]
pub static SLOTS: Array<Line, 65_536, MMAPABLE> = Array::new();

#[btf_map]
pub static BACKENDS: Array<Backend, 131_072, MMAPABLE> = Array::new();

/// Connections of each backend that were given to it by load.
#[btf_map]
pub static CONNECTIONS: Array<u64, 131_072, MMAPABLE> = Array::new();

/// What became of the connections to each backend.
#[btf_map]
pub static OUTCOMES: Array<Outcomes, 131_072, MMAPABLE> = Array::new();

/// When backends are ejected, and for how long.
#[btf_map]
pub static HEALTH: Array<HealthPolicy, { HEALTH_POLICIES as usize }, MMAPABLE> = Array::new();

/// How many more members of each Service port may be ejected.
#[btf_map]
pub static BUDGETS: Array<u64, 65_536, MMAPABLE> = Array::new();

/// Who is not sent to a backend with which it alone had failures, and until when.
#[btf_map]
pub static SHUNNED: LruHashMap<ShunnedKey, u64, 4_096> = LruHashMap::new();

/// Backends that were ejected, spared or returned by the programs.
#[btf_map]
pub static EJECTIONS: RingBuf<Ejection, 65_536> = RingBuf::new();

/// Clients of Services with `sessionAffinity: ClientIP`.
#[btf_map]
pub static AFFINITY: LruHashMap<AffinityKey, Affinity, 65_536> = LruHashMap::new();

/// Memory-mapped so that its records begin at cache lines.
#[btf_map]
pub static FLOWS: Array<Flow, { FLOW_SLOTS as usize }, MMAPABLE> = Array::new();

/// Records whose place in `FLOWS` a younger socket took.
#[btf_map]
pub static FLOWS_MOVED: HashMap<u64, Flow, 131_072, NO_PREALLOC> = HashMap::new();

/// In the storage of MPTCP sockets; each goes with its socket.
#[btf_map]
pub static MPTCP_FLOWS: SkStorage<Flow> = SkStorage::new();

#[btf_map]
pub static UDP_FLOWS: LruHashMap<UdpFlowKey, UdpFlow, 49_152> = LruHashMap::new();

#[btf_map]
pub static UDP_REVERSE: LruHashMap<UdpReverseKey, UdpReverse, 49_152> = LruHashMap::new();

#[btf_map]
pub static COUNTERS: PerCpuArray<u64, { Counter::COUNT as usize }> = PerCpuArray::new();

/// Where each CPU is in its sequence of random numbers.
#[btf_map]
pub static RANDOM: PerCpuArray<u64, 1> = PerCpuArray::new();

/// When each CPU last sent an event.
#[btf_map]
pub static EVENT_TIMES: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map]
pub static EVENTS: RingBuf<Event, 262_144> = RingBuf::new();

/// Read only by user space, kept here so that it is made and pinned with the others.
#[btf_map]
pub static SERVICE_NAMES: HashMap<u32, NamePart, 65_536, NO_PREALLOC> = HashMap::new();

/// Read only by user space, like `SERVICE_NAMES`.
#[btf_map]
pub static BACKEND_NAMES: HashMap<u32, NamePart, 65_536, NO_PREALLOC> = HashMap::new();

/// Read only by user space, like `SERVICE_NAMES`.
#[btf_map]
pub static REASONS: HashMap<u32, BackendReason, { MAX_REASONS as usize }, NO_PREALLOC> =
    HashMap::new();

/// Read only by user space, like `SERVICE_NAMES`.
#[btf_map]
pub static META: Array<Meta, 1, MMAPABLE> = Array::new();
