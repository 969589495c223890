// dequantize: y = the elements of w's blocks as f32      oracle: lib/reference/dequantize.ts
//
// Grid      four elements an invocation, 64 a workgroup.
// Bindings  1 w [out, in] in blocks of FORMAT, as words   2 y f32 [out, in] as vec4
// Consts    FORMAT  see dequantize_four.wgsl, which dequantize.ts prepends
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn word(i: u32) -> u32 { return w[i]; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i < u.quads) { y[i] = four_of_blocks(4u * i); }
}
