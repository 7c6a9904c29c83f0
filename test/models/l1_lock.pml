/*
 * The lock of src/l1/lock.ts, one step for every step that other threads can see.
 * The word holds an owner (0 = free) and the bit "somebody may sleep".
 *
 * Threads 1 to WORKERS take the lock once each; whoever waits may take it out of the hands of a thread that was declared dead, and repairs.
 * With -DDEATH, thread 1 may die at any step and main, the last number, fences it then. With -DZOMBIE, main fences thread 1 while it runs, and it may still
 * die at any step. Without -DTIMEOUTS nobody wakes by himself, so a lost wake-up is a deadlock.
 *
 * Checked: never two in a section; nobody meets tables that a cut-off section left; thread 1 is in no section once it was taken over
 * from; all that live come to an end (-DLIVE: under weak fairness), and the lock is free then.
 *
 * Assumed: a thread that runs and has found itself not fenced leaves its section before others' patience ends (lock.ts counts time-outs).
 *
 * Faults that must be found: -DBUG_SLEEP_BLINDLY, -DBUG_NO_FENCE, -DBUG_STEAL_AT_ONCE, -DBUG_RELEASE_BLINDLY, -DBUG_NO_REPAIR, -DBUG_NO_TAKE_OVER.
 */
#ifndef WORKERS
#define WORKERS 3
#endif
#define MAIN (WORKERS + 1)
#define THREADS (WORKERS + 2)

byte owner = 0;
bool waited = false;
bool asleep[THREADS];
bool fenced[THREADS];
bool inside[THREADS];
bool dead = false;
bool dies = false;
bool takenOver = false;
/* A section is at work on the tables, or was cut off. */
bool broken = false;
byte sections = 0;
byte ended = 0;
bool over = false;

inline enter() {
  inside[me] = true;
  sections++;
  assert(sections == 1);
  assert(!broken);
  assert(!(me == 1 && takenOver));
  broken = true
}

inline leave() {
  atomic { broken = false; inside[me] = false; sections-- }
}

/* Atomics.wait for the word being (seen, bit set), behind the exchange that sets the bit. */
inline sleep() {
  skipped = false;
  if
  :: seenWaited -> skip
  :: else ->
     atomic {
       if
       :: owner == seen && !waited -> waited = true
       :: else -> skipped = true
       fi
     }
  fi;
  if
  :: skipped -> skip
  :: else ->
     atomic {
#ifdef BUG_SLEEP_BLINDLY
       asleep[me] = true
#else
       if
       :: owner == seen && waited -> asleep[me] = true
       :: else -> skip
       fi
#endif
     };
     if
     :: !asleep[me] -> skip
#ifdef TIMEOUTS
     :: atomic { asleep[me] -> asleep[me] = false }
#endif
     fi
  fi
}

#ifdef BUG_STEAL_AT_ONCE
#define MAY_TAKE (seen == 1 && fenced[1])
#else
#define MAY_TAKE (seen == 1 && fenced[1] && (dead || !inside[1]))
#endif

/* One look and one exchange, which fails if anything has changed. stolen: the dead owner, or 0. */
inline tryAcquire() {
  atomic { seen = owner; seenWaited = waited };
  if
  :: seen == 0 || MAY_TAKE ->
     atomic {
       if
       :: owner == seen && waited == seenWaited -> owner = me; waited = true; mine = true; stolen = seen
       :: else -> skip
       fi
     }
  :: else -> sleep()
  fi
}

inline acquire() {
  /* The first exchange and those while it spins: any number of them may fail. */
  atomic { if :: owner == 0 && !waited -> owner = me; mine = true :: else -> skip fi };
  do
  :: mine -> break
  :: else -> tryAcquire()
  od
}

#ifdef BUG_NO_REPAIR
#define REPAIR skip
#else
#define REPAIR if :: stolen != 0 -> broken = false :: else -> skip fi
#endif

inline notifyOne() {
  atomic {
    if
    :: asleep[1] -> asleep[1] = false
    :: asleep[2] -> asleep[2] = false
#if WORKERS > 2
    :: asleep[3] -> asleep[3] = false
#endif
    :: asleep[MAIN] -> asleep[MAIN] = false
    :: !(asleep[1] || asleep[2] || asleep[MAIN]
#if WORKERS > 2
         || asleep[3]
#endif
       ) -> skip
    fi
  }
}

/* To nobody, or back into the hands it was taken from. */
inline passOn(next) {
  atomic {
    wake = false;
#ifdef BUG_RELEASE_BLINDLY
    wake = waited; owner = next; waited = false
#else
    if
    :: owner == me -> wake = waited; owner = next; waited = false
    :: else -> skip
    fi
#endif
  };
  if :: wake -> notifyOne() :: else -> skip fi
}

proctype Worker(byte me) {
  byte seen = 0, stolen = 0;
  bool seenWaited = false, skipped = false, mine = false, wake = false, refused = false;
  {
    acquire();
    /* Who has looked at the fence is in the section. */
    atomic {
      if
#ifdef BUG_NO_FENCE
      :: true -> REPAIR; enter()
#else
      :: fenced[me] -> refused = true
      :: else -> REPAIR; enter()
#endif
      fi
    };
    if
    :: refused -> passOn(stolen)
    :: else -> leave(); passOn(0)
    fi;
    atomic { !(dies && me == 1) -> ended++ }
  } unless {
    /* What it was doing stays as it is: the lock in its hand, itself among those that sleep. */
    atomic { me == 1 && dies -> dead = true; if :: inside[1] -> sections--; inside[1] = false :: else -> skip fi; ended++ }
  }
}

#if defined(DEATH) || defined(ZOMBIE)
proctype Reaper() {
  /* Any time, unless thread 1 has come to its end. */
  if
  :: dies = true
  :: skip
  fi
}
#endif

#if defined(DEATH) || defined(ZOMBIE)
proctype Main() {
  byte me = MAIN;
  byte seen = 0, stolen = 0;
  bool seenWaited = false, skipped = false, mine = false, wake = false;
#ifndef ZOMBIE
  /* It hears of a death, or of none. */
  if
  :: dead -> skip
  :: ended == WORKERS && !dead -> goto out
  fi;
#endif
#ifndef BUG_NO_TAKE_OVER
  fenced[1] = true;
  acquire();
  atomic { REPAIR; enter() };
  leave();
  takenOver = true;
  passOn(0);
#endif
out:
  ended++
}
#define PROCESSES (WORKERS + 1)
#else
#define PROCESSES WORKERS
#endif

init {
  byte i = 1;
  atomic {
    do
    :: i > WORKERS -> break
    :: else -> run Worker(i); i++
    od;
#if defined(DEATH) || defined(ZOMBIE)
    run Reaper();
    run Main()
#endif
  };
  (ended == PROCESSES);
#if defined(DEATH) || defined(ZOMBIE)
  /* What is left may be a lock in the hands of a thread that died when it found itself fenced: the next who waits takes it. */
  if
  :: owner == 1 && dead && fenced[1] -> owner = 0
  :: else -> skip
  fi;
#endif
  assert(owner == 0 && !broken && sections == 0);
  over = true
}

#ifdef LIVE
ltl comesToAnEnd { <> over }
#endif
