/* The main program of CPython for the vkernel: Programs/python.c, and a snapshot.
 *
 * While an image is built, the program runs as `python3 --vkernel-snapshot`: the interpreter is initialised, `_vkernel.py`
 * imports what programs use most and hides it again, and memory is saved. A start from the image begins in
 * vkernel_resume(): the interpreter gets a hash secret of its own, `_vkernel.py` renews what the environment decides
 * or says that this start needs a cold one, and CPython is configured again with the real command line, as
 * Py_InitializeFromConfig() does with a running interpreter. From there on all code is CPython's. */
#include "Python.h"
#include "pycore_codecs.h"
#include "pycore_initconfig.h"
#include "pycore_pylifecycle.h"
#include "pycore_pystate.h"
#include "rehash.c"

#include <signal.h>
#include <string.h>
#include <vkernel/snapshot.h>

/* _vkernel.py, as text: `vkernel_py`. */
#include "vkernel_py.h"

/* Its function `prepare(argv, environ)`: whether the snapshot can serve the start. */
static PyObject *prepare;

int _PyVkernel_resumed;

static int
failed(PyStatus status)
{
    if (PyStatus_IsExit(status)) {
        return status.exitcode;
    }
    Py_ExitStatusException(status);
}

static int
take_snapshot(void)
{
    _PyVkernel_record();
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.site_import = 0;
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, "/usr/local/bin/python3");
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        return failed(status);
    }
    PyObject *code = Py_CompileString(vkernel_py, "_vkernel.py", Py_file_input);
    PyObject *module = code ? PyModule_New("_vkernel") : NULL;
    PyObject *names = module ? PyModule_GetDict(module) : NULL;
    PyObject *done = NULL;
    if (names && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0) {
        done = PyEval_EvalCode(code, names, names);
    }
    if (done == NULL || (prepare = PyDict_GetItemString(names, "prepare")) == NULL) {
        PyErr_Print();
        return 1;
    }
    Py_INCREF(prepare);
    /* Nobody counts references to these, so that their pages stay the image's. */
    PyObject *immortal = PyDict_GetItemString(names, "immortal");
    for (Py_ssize_t i = 0; immortal != NULL && i < PyList_GET_SIZE(immortal); i++) {
        PyObject *thing = PyLong_AsVoidPtr(PyList_GET_ITEM(immortal, i));
        if (thing != NULL) {
            thing->ob_refcnt = _Py_IMMORTAL_REFCNT;
        }
    }
    PyDict_DelItemString(names, "immortal");
    PyErr_Clear();
    Py_DECREF(done);
    Py_DECREF(code);
    _PyVkernel_recorded();
    vkernel_snapshot();
    fputs("python3: no snapshot is being taken\n", stderr);
    return 2;
}

static PyObject *
bytes_of(char **strings)
{
    PyObject *list = PyList_New(0);
    for (; list != NULL && *strings != NULL; strings++) {
        PyObject *bytes = PyBytes_FromString(*strings);
        if (bytes == NULL || PyList_Append(list, bytes) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(bytes);
    }
    return list;
}

/* A signal that the process was started with ignored is SIG_IGN for Python too, as at any start. */
static void
renew_signals(void)
{
    PyObject *module = PyImport_ImportModule("_signal");
    for (int signal = 1; module != NULL && signal < Py_NSIG; signal++) {
        if (signal == SIGPIPE || signal == SIGXFSZ || PyOS_getsig(signal) != SIG_IGN) {
            continue;
        }
        PyObject *before = PyObject_CallMethod(module, "signal", "ii", signal, 1);
        Py_XDECREF(before);
    }
    PyErr_Clear();
    Py_XDECREF(module);
}

/* The name of the file system's encoding is that of its codec, which only a first initialisation sees to. */
static PyStatus
name_encoding(PyConfig *config)
{
    PyStatus status = PyConfig_Read(config);
    if (PyStatus_Exception(status)) {
        return status;
    }
    PyObject *given = PyUnicode_FromWideChar(config->filesystem_encoding, -1);
    const char *name = given ? PyUnicode_AsUTF8(given) : NULL;
    PyObject *codec = name ? _PyCodec_Lookup(name) : NULL;
    PyObject *known = codec ? PyObject_GetAttrString(codec, "name") : NULL;
    wchar_t *wide = known ? PyUnicode_AsWideCharString(known, NULL) : NULL;
    if (wide != NULL) {
        status = PyConfig_SetString(config, &config->filesystem_encoding, wide);
    }
    PyErr_Clear();
    PyMem_Free(wide);
    Py_XDECREF(known);
    Py_XDECREF(codec);
    Py_XDECREF(given);
    return status;
}

int
vkernel_resume(int argc, char **argv, char **envp)
{
    if (_PyVkernel_rehash() < 0) {
        return VKERNEL_COLD;
    }
    PyThreadState_Get()->native_thread_id = PyThread_get_thread_native_id();
    PyObject *arguments = bytes_of(argv), *environment = bytes_of(envp);
    PyObject *serves = NULL;
    if (arguments != NULL && environment != NULL) {
        serves = PyObject_CallFunctionObjArgs(prepare, arguments, environment, NULL);
    }
    Py_XDECREF(arguments);
    Py_XDECREF(environment);
    if (serves != Py_True) {
        return VKERNEL_COLD;
    }
    _PyVkernel_resumed = 1;
    renew_signals();
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    PyStatus status = PyConfig_SetBytesArgv(&config, argc, argv);
    if (!PyStatus_Exception(status)) {
        status = name_encoding(&config);
    }
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        return failed(status);
    }
    return Py_RunMain();
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--vkernel-snapshot") == 0) {
        return take_snapshot();
    }
    return Py_BytesMain(argc, argv);
}
