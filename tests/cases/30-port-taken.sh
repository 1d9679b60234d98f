. "$(dirname "$0")/env.sh"
make_tree ds; ar prepare ds --out st >/dev/null 2>&1; port=$(( 21000 + RANDOM % 9000 ))
"$PY" -c "
import socket,time; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('0.0.0.0', $port)); s.listen(); time.sleep(90)" & holder=$!; sleep 1
for r in 0 1; do MASTER_ADDR=127.0.0.1 MASTER_PORT=$port SLURM_JOB_ID=4711 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NUM_NODES=1 SLURM_STEP_NODELIST=localhost SLURM_PROCID=$r SLURM_LOCALID=$r timeout 60 nice -n 10 "$PY" -m alexrepro train tiny --store st --runs runs --epochs 1 --device cpu > r$r.txt 2>&1 & p[$r]=$!; done
wait ${p[0]}; echo "rank 0: exit $?"; wait ${p[1]}; echo "rank 1: exit $? (124: was still waiting after 60 s)"; kill $holder; tail -n 2 r0.txt; grep -c "frame #" r1.txt
