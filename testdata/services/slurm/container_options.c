/*
 * A stand-in for the container options of the pyxis plugin: srun and sbatch take them, and nothing is done with them. So command lines
 * written for a cluster with containers are accepted word for word, and the steps run on the machine as it is.
 */
#include <stddef.h>

#include <slurm/spank.h>

SPANK_PLUGIN(container_options, 1)

static int ignore(int value, const char *argument, int remote)
{
	(void)value;
	(void)argument;
	(void)remote;
	return ESPANK_SUCCESS;
}

struct spank_option spank_options[] = {
	{"container-image", "IMAGE", "ignored", 1, 0, ignore},
	{"container-name", "NAME", "ignored", 1, 0, ignore},
	{"container-mounts", "FROM:TO,...", "ignored", 1, 0, ignore},
	{"container-workdir", "DIR", "ignored", 1, 0, ignore},
	{"container-env", "NAME,...", "ignored", 1, 0, ignore},
	{"container-mount-home", NULL, "ignored", 0, 0, ignore},
	{"no-container-mount-home", NULL, "ignored", 0, 0, ignore},
	{"container-remap-root", NULL, "ignored", 0, 0, ignore},
	{"no-container-remap-root", NULL, "ignored", 0, 0, ignore},
	{"container-writable", NULL, "ignored", 0, 0, ignore},
	SPANK_OPTIONS_TABLE_END,
};

/* A plugin without a function would not be loaded. */
int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	(void)spank;
	(void)argc;
	(void)argv;
	return ESPANK_SUCCESS;
}
