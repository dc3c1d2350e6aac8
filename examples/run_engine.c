/* Runs a compiled network with Octet's C API and prints the largest element of every output.
   usage: run_engine_c MODEL.octet */
#include <octet/octet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMostDims = 16, kMostTensors = 16 };

static int64_t element_count(int rank, const int64_t* dims) {
  int64_t n = 1;
  for (int d = 0; d < rank; ++d) n *= dims[d] < 0 ? 1 : dims[d]; /* -1: any batch; one image here */
  return n;
}

static void print_largest(const char* name, const float* values, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i)
    if (values[i] > values[best]) best = i;
  printf("output %s: %lld elements, the largest is %g at %lld\n", name, (long long)n, values[best], (long long)best);
}

static int run(octet_engine* engine, octet_session* session) {
  int64_t dims[kMostDims];
  void* inputs[kMostTensors] = {0};
  void* outputs[kMostTensors] = {0};
  const int input_count = octet_input_count(engine), output_count = octet_output_count(engine);
  int code = 1;
  if (input_count > kMostTensors || output_count > kMostTensors) return code;
  for (int i = 0; i < input_count; ++i) {
    const int64_t n = element_count(octet_input_dims(engine, i, dims, kMostDims), dims);
    inputs[i] = calloc((size_t)n, 8); /* room for every type */
    if (inputs[i] == NULL) goto done;
    if (strcmp(octet_input_type(engine, i), "float32") == 0)
      for (int64_t k = 0; k < n; ++k) ((float*)inputs[i])[k] = (float)(k % 17) / 8.0f - 1.0f;
  }
  for (int i = 0; i < output_count; ++i) {
    outputs[i] = calloc((size_t)element_count(octet_output_dims(engine, i, dims, kMostDims), dims), 8);
    if (outputs[i] == NULL) goto done;
  }
  code = octet_run(session, 1, (const void* const*)inputs, outputs);
  if (code != 0) {
    fprintf(stderr, "run_engine_c: %s\n", octet_error());
    goto done;
  }
  for (int i = 0; i < output_count; ++i)
    if (strcmp(octet_output_type(engine, i), "float32") == 0)
      print_largest(octet_output_name(engine, i), outputs[i],
                    element_count(octet_output_dims(engine, i, dims, kMostDims), dims));
done:
  for (int i = 0; i < kMostTensors; ++i) {
    free(inputs[i]);
    free(outputs[i]);
  }
  return code;
}

int main(int argc, char** argv) {
  if (argc != 2) return fprintf(stderr, "usage: run_engine_c MODEL.octet\n"), 2;
  octet_engine* engine = octet_load(argv[1]);
  octet_session* session = engine != NULL ? octet_open(engine, 1) : NULL;
  if (session == NULL) {
    fprintf(stderr, "run_engine_c: %s\n", octet_error());
    octet_unload(engine);
    return 1;
  }
  const int code = run(engine, session);
  octet_close(session);
  octet_unload(engine);
  return code;
}
