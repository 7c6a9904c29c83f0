/*
 * Hits of src/l1 without the lock (hits.ts, hit_table.ts): two readers that announce an entry, check it and read its memory in two
 * halves; a writer that removes the entry, pins it for whoever has announced it or frees it, and writes another version into the same
 * memory; main, which repairs after the writer's death at any step and ends the hit of reader 0 after that one's. With -DZOMBIE, reader 0
 * is only declared dead, and runs on for a while. What holders of the lock do is not one step here, because readers see it half done.
 *
 * Checked: who has found the entry resident reads one version, whole; the entry is free, with no pin, when all is over.
 *
 * Faults that must be found: -DBUG_CHECK_FIRST, -DBUG_NO_PIN, -DBUG_PIN_FIRST, -DBUG_BLIND_REPAIR, -DBUG_NOT_LINKED,
 * -DBUG_DEAD_KEEPS, and with -DZOMBIE, -DBUG_NOT_DISOWNED and -DBUG_HITS_ON.
 */
#define READERS 2
#ifndef READS
#define READS 2
#endif
#ifndef WRITES
#define WRITES 2
#endif
#define MAIN 9
#define WRITER 8

mtype = { free, staging, resident, detached, none, announced, pinned };

mtype state = free;
bool linked = false;
byte pins = 0;
byte left = 0;
byte right = 0;
byte version = 0;
byte lastVersion = 0;

mtype slot[READERS] = none;
bool fenced[READERS];
bool readerDead = false;
bool writerDead = false;
byte owner = 0;

inline acquire(me) { atomic { owner == 0 -> owner = me } }
inline release() { owner = 0 }

/* With the lock: pins the entry for a reader that has announced it. */
inline pinFor(i) {
  atomic { if :: slot[i] == announced -> slot[i] = pinned; count++ :: else -> skip fi }
}

/* With the lock: the memory is free for another version, which may come at once. */
inline freeMemory() {
  state = free;
  left = 0;
  right = 0
}

inline freeIfUnused() {
  if
  :: state == detached && pins == 0 ->
     count = 0;
#ifndef BUG_NO_PIN
     pinFor(0); pinFor(1);
#endif
     if :: count == 0 -> freeMemory() :: else -> pins = count fi
  :: else -> skip
  fi
}

proctype Writer() {
  byte rounds = WRITES;
  byte count = 0;
  {
    do
    :: rounds == 0 -> break
    :: else ->
       rounds--;
       acquire(WRITER);
       if
       :: state == free ->
          /* The writer of a staging; readers pay no attention to it. */
          linked = true;
          state = staging;
          lastVersion++;
          left = lastVersion;
          right = lastVersion;
          version = lastVersion;
          state = resident
       :: state == resident ->
#ifdef BUG_PIN_FIRST
          count = 0;
          pinFor(0); pinFor(1);
          pins = pins + count;
          linked = false;
          state = detached;
          if :: pins == 0 -> freeMemory() :: else -> skip fi
#else
          linked = false;
          state = detached;
          freeIfUnused()
#endif
       :: else -> skip
       fi;
       release()
    od
  } unless { writerDead }
}

proctype Reader(byte me) {
  byte rounds = READS;
  byte count = 0;
  bool isHit;
  byte wanted;
  {
    do
    :: rounds == 0 -> break
    :: else ->
       rounds--;
#ifdef BUG_CHECK_FIRST
       isHit = (state == resident && linked && !fenced[me]);
       slot[me] = announced;
#else
       slot[me] = announced;
       isHit = (state == resident);
#ifndef BUG_NOT_LINKED
       isHit = isHit && linked;
#endif
       isHit = isHit && !fenced[me];
#endif
       if
       :: isHit ->
          wanted = version;
          assert(left == wanted);
          assert(right == wanted)
       :: else -> skip
       fi;
       isHit = false;
       wanted = 0;
       atomic {
         if
         :: slot[me] == announced -> slot[me] = none; goto over
         :: else -> skip
         fi
       };
       if
#ifdef BUG_HITS_ON
       :: fenced[me] -> goto over
#else
       /* Its next call into L1 throws, and it begins no other hit. */
       :: fenced[me] -> break
#endif
       :: atomic { owner == 0 && !fenced[me] -> owner = me + 1 }
       fi;
       if
       :: slot[me] == pinned -> slot[me] = none; pins--; freeIfUnused()
       :: else -> slot[me] = none
       fi;
       release();
over:  skip
    od
  } unless { readerDead && me == 0 }
}

/* With the lock: makes the pins anew and settles the entry, as recovery.ts does. */
inline repair() {
  count = 0;
#ifndef BUG_BLIND_REPAIR
  if
  :: state == resident || state == detached -> pinFor(0); pinFor(1)
  :: else -> skip
  fi;
  count = (slot[0] == pinned -> 1 : 0) + (slot[1] == pinned -> 1 : 0);
#endif
  if
  :: state == staging -> linked = false; freeMemory()
  :: (state == resident && !linked) || state == detached ->
     if :: count == 0 -> freeMemory() :: else -> state = detached fi
  :: else -> skip
  fi;
  pins = count
}

proctype Main() {
  byte count = 0;
  bool killsReader = false;
  if
  :: killsReader = true
  :: skip
  fi;
  if
  :: writerDead = true; atomic { owner != 1 && owner != 2 -> if :: owner == WRITER -> owner = MAIN; count = 1 :: else -> owner = MAIN fi };
     if :: count == 1 -> repair() :: else -> skip fi;
     release()
  :: skip
  fi;
  count = 0;
  if
  :: killsReader ->
#ifdef ZOMBIE
     fenced[0] = true;
#ifdef BUG_NOT_DISOWNED
     acquire(MAIN);
     if :: slot[0] == pinned -> slot[0] = none; pins--; freeIfUnused() :: else -> slot[0] = none fi;
     release()
#endif
#else
     readerDead = true;
     fenced[0] = true;
     atomic { owner == 0 || owner == 1 -> if :: owner == 1 -> owner = MAIN; count = 1 :: else -> owner = MAIN; count = 0 fi };
     if :: count == 1 -> repair() :: else -> skip fi;
#ifndef BUG_DEAD_KEEPS
     if
     :: slot[0] == pinned -> slot[0] = none; pins--; freeIfUnused()
     :: else -> slot[0] = none
     fi;
#endif
     release()
#endif
  :: else -> skip
  fi
}

init {
  byte count = 0;
  atomic { run Writer(); run Reader(0); run Reader(1); run Main() };
  (_nr_pr == 1);
  assert(owner == 0);
#ifdef ZOMBIE
  /* The loop, seconds later. */
  if :: slot[0] == pinned -> slot[0] = none; pins--; freeIfUnused() :: else -> slot[0] = none fi;
#endif
  if
  :: state == resident -> linked = false; state = detached; freeIfUnused()
  :: else -> skip
  fi;
  assert(state == free && pins == 0 && slot[0] == none && slot[1] == none)
}
