// embedding: x[i] = table[ids[i]], widened to f32      oracle: lib/reference/embedding.ts
//
// Grid      four elements of x an invocation, 64 a workgroup.
// Bindings  1 ids u32 [n]   2 table [rows, d] of f32, f16 or bf16 (two to a word) or blocks: the rows
//           from `first` on of a table [v, d], those of x that lie elsewhere in it are left as they are   3 x f32 [n, d]
// Consts    FORMAT  0 f32, 1 f16, 2 bf16, from 3 on as in dequantize_four.wgsl, which embedding.ts prepends then
// An id past the table gives a row of NaN: a clamped one would go unseen.
struct Uniforms { n: u32, d: u32, v: u32, first: u32, rows: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;

fn word(i: u32) -> u32 { return table[i / 4u][i % 4u]; }

fn unpack(pair: u32) -> vec2f {
  if (FORMAT == 1) { return unpack2x16float(pair); }
  return bitcast<vec2f>(vec2u(pair << 16u, pair & 0xffff0000u));
}

/// Elements `at` to `at + 3` of the table, `at` a multiple of 4.
fn four(at: u32) -> vec4f {
  if (FORMAT >= 3) { return four_of_blocks(at); }
  if (FORMAT == 0) { return bitcast<vec4f>(table[at / 4u]); }
  let words = table[at / 8u];
  let half = select(words.xy, words.zw, at % 8u == 4u);
  return vec4f(unpack(half.x), unpack(half.y));
}

/// Element `at` of x, wherever its row begins; rows of blocks never need it.
fn one(at: u32) -> f32 {
  let id = ids[at / u.d];
  if (id >= u.v) { return nan(id); }
  if (id - u.first >= u.rows) { return x[at / 4u][at % 4u]; }
  let source = (id - u.first) * u.d + at % u.d;
  if (FORMAT == 0) { return bitcast<f32>(table[source / 4u][source % 4u]); }
  return unpack(table[source / 8u][source / 2u % 4u])[source % 2u];
}

fn nan(id: u32) -> f32 { return bitcast<f32>(id | 0x7fc00000u); }

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let at = 4u * ((group.x + group.y * groups.x) * 64u + lane);
  if (at >= u.n * u.d) { return; }
  if (u.d % 4u != 0u) {
    x[at / 4u] = vec4f(one(at), one(at + 1u), one(at + 2u), one(at + 3u));
    return;
  }
  let id = ids[at / u.d];
  if (id >= u.v) {
    x[at / 4u] = vec4f(nan(id));
  } else if (id - u.first < u.rows) {
    x[at / 4u] = four((id - u.first) * u.d + at % u.d);
  }
}
