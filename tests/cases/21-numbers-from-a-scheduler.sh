. "$(dirname "$0")/env.sh"
make_tree ds; ar prepare ds --out st >/dev/null 2>&1
t() { ar train tiny --store st --runs runs-x --epochs 1 --device cpu 2>&1 | tail -n 2; }
RANK=0 WORLD_SIZE=1 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=tcp://10.0.0.1:80 t
RANK= WORLD_SIZE= LOCAL_RANK= LOCAL_WORLD_SIZE= MASTER_ADDR= MASTER_PORT= t
SLURM_JOB_ID=47_1 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NUM_NODES=1 SLURM_STEP_NODELIST=localhost SLURM_PROCID=0 SLURM_LOCALID=0 t
SLURM_STEP_NUM_TASKS='2(x1)' t
