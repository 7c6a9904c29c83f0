/** A group of LMCache's series, by the beginnings of their names, that has no meaning here. */
export interface AbsentSeries {
  readonly prefixes: readonly string[];
  readonly why: string;
}

/**
 * What LMCache's multiprocess mode exports and Vitrine does not, and why; all its other series are in the table of
 * metrics.
 */
export const lmcacheAbsent: readonly AbsentSeries[] = [
  {
    prefixes: ["lmcache_mp_l0_l1_", "lmcache_mp_transfer_"],
    why:
      "Copies between GPU and memory: no GPU here. How fast objects come and go is in vitrine_http_*_body_bytes_total.",
  },
  {
    prefixes: ["lmcache_mp_l0_block_"],
    why: "Lifetimes of blocks in GPU memory: no GPU here. L1's are in lmcache_mp_l1_chunk_*.",
  },
  {
    prefixes: [
      "lmcache_mp_num_submitted_stores",
      "lmcache_mp_num_finished_stores",
      "lmcache_mp_num_submitted_retrieves",
      "lmcache_mp_num_finished_retrieves",
    ],
    why: "Copies in a GPU's stream: no GPU here. What is under way is in http_server_active_requests.",
  },
  {
    prefixes: ["lmcache_mp_lookup_early_exit_"],
    why:
      "An engine's lookup that ends without looking (no GPU context, no chunk): a request for an object always looks.",
  },
  {
    prefixes: ["lmcache_mp_key_directory_"],
    why:
      "A coordinator's directory over several servers: there is none. What is where: vitrine_objects and vitrine_used_bytes.",
  },
  {
    prefixes: ["grpc_"],
    why: "Its gRPC plugin: this is HTTP, with the semantic conventions' http_server_*.",
  },
  {
    prefixes: ["lmcache_blend_"],
    why: "Blending of chunks for an engine, and its serialisation: objects are bytes here.",
  },
];
