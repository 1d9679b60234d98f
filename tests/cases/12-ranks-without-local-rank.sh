. "$(dirname "$0")/env.sh"
# Kubeflow's PyTorchJob sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT only; each pod has a disk of its own. Then mpirun's names.
make_tree ds; ar prepare ds --out st >/dev/null 2>&1; port=$(( 21000 + RANDOM % 9000 ))
for r in 0 1; do RANK=$r WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port ar train tiny --store st --runs runs-pod$r --epochs 1 --device cpu > pod$r.txt 2>&1 & p[$r]=$!; done; wait ${p[0]} ${p[1]}; for r in 0 1; do echo "pod $r:"; grep -a epoch pod$r.txt; tail -n 1 pod$r.txt; done
for r in 0 1; do OMPI_COMM_WORLD_RANK=$r OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=$r ar train tiny --store st --runs runs-mpi$r --epochs 1 --device cpu > mpi$r.txt 2>&1 & p[$r]=$!; done; wait ${p[0]} ${p[1]}; for r in 0 1; do echo "mpi $r:"; tail -n 2 mpi$r.txt; done
