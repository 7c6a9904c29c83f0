/*
 * Leases and memory of src/l1: reserve, admit, read, evict, finish, expire, die, reuse. Every operation is one step, since all are
 * sections under the lock (l1_lock.pml); reading and writing an object's bytes, in two halves, are steps of their own without it.
 *
 * Two entries with memory of their own, one key, ROWS lease rows. A token is a row and its generation; `given` numbers what was given, so that the
 * model, other than the code, knows whose lease a row really is.
 *
 * Checked: a token opens only the lease it was given for; who is told that his object was held until now has read one version, whole; what
 * is resident is whole; a resident or leased entry is never given out again; when all have ended, no row and no memory is left.
 *
 * Assumed: a writer writes into its memory only while its lease is live (recovery.ts keeps the memory of a thread that cannot be stopped).
 *
 * Faults that must be found: -DBUG_NO_GENERATION, -DBUG_FREE_WHILE_READ, -DBUG_LATE_ADMISSION, -DBUG_LATE_WRITE, -DBUG_DEAD_KEEPS.
 */
#define ENTRIES 2
#ifndef ROWS
#define ROWS 2
#endif
#ifndef READS
#define READS 1
#endif
#ifndef PASSES
#define PASSES 2
#endif
#define NONE 255

mtype = { free, staging, resident, detached, unused, read, write };

mtype state[ENTRIES] = free;
byte pins[ENTRIES];
/* The version that each half of an entry's memory holds, and the one it was admitted as. */
byte left[ENTRIES];
byte right[ENTRIES];
byte version[ENTRIES];

mtype kind[ROWS] = unused;
byte generation[ROWS];
byte target[ROWS];
byte holder[ROWS];
bool overdue[ROWS];
byte given[ROWS];
byte lastGiven = 0;
byte lastVersion = 0;
bool dead = false;

#define RESIDENT (state[0] == resident || state[1] == resident)

inline freeIfUnused(e) {
#ifdef BUG_FREE_WHILE_READ
  if :: state[e] == detached -> state[e] = free :: else -> skip fi
#else
  if :: state[e] == detached && pins[e] == 0 -> state[e] = free :: else -> skip fi
#endif
}

/* row: a free one, or NONE */
inline findRow() {
  if
  :: kind[0] == unused -> row = 0
  :: kind[0] != unused && kind[1] == unused -> row = 1
  :: else -> row = NONE
  fi
}

inline give(what, e) {
  kind[row] = what; target[row] = e; holder[row] = me; overdue[row] = false;
  lastGiven++; given[row] = lastGiven;
  token = row; tokenGeneration = generation[row]; mine = lastGiven
}

inline endRow(r) {
  generation[r]++; kind[r] = unused; given[r] = 0; target[r] = 0; holder[r] = 0; overdue[r] = false
}

#ifdef BUG_NO_GENERATION
#define FITS(what) (kind[token] == what)
#else
#define FITS(what) (kind[token] == what && generation[token] == tokenGeneration)
#endif

inline expire(r) {
  if
  :: kind[r] == write -> state[target[r]] = detached; freeIfUnused(target[r]); endRow(r)
  :: kind[r] == read -> pins[target[r]]--; freeIfUnused(target[r]); endRow(r)
  :: else -> skip
  fi
}

/* Somebody evicts, deletes or replaces what is resident. */
inline removeResident() {
  if
  :: state[0] == resident -> state[0] = detached; freeIfUnused(0)
  :: state[1] == resident -> state[1] = detached; freeIfUnused(1)
  :: else -> skip
  fi
}

proctype Writer(byte me; byte rounds) {
  byte row, token, tokenGeneration, mine, e, v;
  {
    do
    :: rounds == 0 -> break
    :: else ->
       rounds--;
       e = NONE;
       atomic {
         findRow();
         if
         :: row != NONE && state[0] == free -> e = 0
         :: row != NONE && state[1] == free -> e = 1
         :: row != NONE && state[0] == resident && pins[0] == 0 -> removeResident(); e = 0
         :: row != NONE && state[1] == resident && pins[1] == 0 -> removeResident(); e = 1
         :: else -> skip
         fi;
         if
         :: e == NONE -> skip
         :: else ->
            assert(state[e] == free && pins[e] == 0);
            state[e] = staging;
            lastVersion++; v = lastVersion;
            give(write, e)
         fi
       };
       if
       :: e == NONE -> skip
       :: else ->
#ifdef BUG_LATE_WRITE
#define LIVE true
#else
#define LIVE (generation[token] == tokenGeneration && kind[token] == write && !overdue[token])
#endif
          atomic { if :: LIVE -> left[e] = v :: else -> skip fi };
          atomic { if :: LIVE -> right[e] = v :: else -> skip fi };
          atomic {
            if
#ifdef BUG_LATE_ADMISSION
            :: generation[token] == tokenGeneration || overdue[token] ->
#else
            :: FITS(write) && !overdue[token] ->
#endif
               assert(given[token] == mine);
               removeResident();
               version[e] = v;
               state[e] = resident;
               endRow(token);
               assert(left[e] == v && right[e] == v)
            :: else -> skip
            fi;
            row = 0; token = 0; tokenGeneration = 0; mine = 0; v = 0
          }
       fi
    od
  } unless { dead && me == 1 }
}

proctype Reader(byte me; byte rounds) {
  byte row, token, tokenGeneration, mine, e, seenLeft, seenRight, wanted;
  do
  :: rounds == 0 -> break
  :: else ->
     rounds--;
     e = NONE;
     atomic {
       findRow();
       if
       :: row != NONE && state[0] == resident -> e = 0
       :: row != NONE && state[1] == resident -> e = 1
       :: else -> skip
       fi;
       if
       :: e == NONE -> skip
       :: else -> pins[e]++; wanted = version[e]; give(read, e)
       fi
     };
     if
     :: e == NONE -> skip
     :: else ->
        seenLeft = left[e];
        seenRight = right[e];
        atomic {
          if
          :: FITS(read) ->
             assert(given[token] == mine);
             assert(seenLeft == wanted && seenRight == wanted);
             endRow(token);
             pins[e]--;
             freeIfUnused(e)
          :: else -> skip
          fi;
          row = 0; token = 0; tokenGeneration = 0; mine = 0; seenLeft = 0; seenRight = 0; wanted = 0
        }
     fi
  od
}

/* Time passes, the loop ends what is overdue, and something is deleted now and then. */
proctype Loop() {
  byte budget = PASSES;
  do
  :: budget == 0 -> break
  :: atomic { budget > 0 -> budget--; if :: kind[0] != unused -> overdue[0] = true :: kind[1] != unused -> overdue[1] = true :: else -> skip fi }
  :: atomic { kind[0] != unused && overdue[0] -> expire(0) }
  :: atomic { kind[1] != unused && overdue[1] -> expire(1) }
  :: atomic { budget > 0 -> budget--; removeResident() }
  od
}

/* Writer 1 may die at any time; main ends its leases. */
proctype Main() {
  if
  :: dead = true;
#ifndef BUG_DEAD_KEEPS
     atomic {
       if :: kind[0] != unused && holder[0] == 1 -> expire(0) :: else -> skip fi;
       if :: kind[1] != unused && holder[1] == 1 -> expire(1) :: else -> skip fi
     }
#endif
  :: skip
  fi
}

init {
  atomic {
    run Writer(1, 1);
    run Writer(2, 1);
    run Reader(3, READS);
    run Reader(4, 1);
    run Loop();
    run Main()
  };
  (_nr_pr == 1);
  atomic {
    /* The loop comes round once more. */
    if :: kind[0] != unused && overdue[0] -> expire(0) :: else -> skip fi;
    if :: kind[1] != unused && overdue[1] -> expire(1) :: else -> skip fi;
    removeResident();
    assert(kind[0] == unused && kind[1] == unused);
    assert(state[0] == free && state[1] == free && pins[0] == 0 && pins[1] == 0)
  }
}
