/* Gives a Python another script than its command line has, before it has looked for that: what it derives from the
 * name (sys.path[0], __file__, what errors say) it derives from this one. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

static int set(PyConfig *config, wchar_t **member, PyObject *text) {
  wchar_t *wide = PyUnicode_AsWideCharString(text, NULL);
  if (wide == NULL)
    return -1;
  PyStatus status = PyConfig_SetString(config, member, wide);
  PyMem_Free(wide);
  if (!PyStatus_Exception(status))
    return 0;
  PyErr_SetString(PyExc_RuntimeError, status.err_msg);
  return -1;
}

static PyObject *set_script(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *name, *path;
  if (!PyArg_ParseTuple(args, "UU:set_script", &name, &path))
    return NULL;
  /* The interpreter's own, which is not constant in truth: Python's main program casts it just so. */
  PyConfig *config = (PyConfig *)_Py_GetConfig();
  PyWideStringList *given = &config->orig_argv;
  if (config->run_filename == NULL || config->argv.length == 0 || given->length == 0) {
    PyErr_SetString(PyExc_RuntimeError, "there is no script on the command line");
    return NULL;
  }
  if (set(config, &config->run_filename, path) < 0 || set(config, &config->argv.items[0], name) < 0 ||
      set(config, &given->items[given->length - 1], name) < 0)
    return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"set_script", set_script, METH_VARARGS, "set_script(name, path): as on the command line, and from the root."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_trio_exec_main", .m_methods = methods};

PyMODINIT_FUNC PyInit__trio_exec_main(void) {
  return PyModuleDef_Init(&definition);
}
