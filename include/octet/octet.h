/* Octet's runtime for C and everything that speaks C. All functions are thread-safe unless they share a session. */
#ifndef OCTET_OCTET_H_
#define OCTET_OCTET_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct octet_engine octet_engine;
typedef struct octet_session octet_session;

/* NULL on failure; octet_error() says why. */
octet_engine* octet_load(const char* path);
octet_engine* octet_load_bytes(const void* bytes, size_t size);
void octet_unload(octet_engine* engine); /* sessions keep what they need */

int octet_input_count(const octet_engine* engine);
int octet_output_count(const octet_engine* engine);
/* The name, "float32"/"uint8"/..., the rank and the dimensions (dims[0] is -1 for a free batch). NULL / -1 when i is out of
   range. `dims` has room for `capacity` numbers. */
const char* octet_input_name(const octet_engine* engine, int i);
const char* octet_output_name(const octet_engine* engine, int i);
const char* octet_input_type(const octet_engine* engine, int i);
const char* octet_output_type(const octet_engine* engine, int i);
int octet_input_dims(const octet_engine* engine, int i, int64_t* dims, int capacity);
int octet_output_dims(const octet_engine* engine, int i, int64_t* dims, int capacity);

/* threads 0: one for each core. */
octet_session* octet_open(octet_engine* engine, int threads);
void octet_close(octet_session* session);

/* Row-major inputs and outputs in the engine's order, `batch` images each. 0 on success, otherwise an error code of
   `octet`'s exit codes. One run at a time for each session. */
int octet_run(octet_session* session, int64_t batch, const void* const* inputs, void* const* outputs);

/* The last error of this thread; never NULL. */
const char* octet_error(void);

#ifdef __cplusplus
}
#endif

#endif /* OCTET_OCTET_H_ */
