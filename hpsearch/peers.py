"""Other tools' names for what a study names: parameters, metrics, values, keys.

Each table maps a name of ours to those that other tools have for it, separated by blanks. Case, `_`, `-`, `.` and
blanks do not count. A name of ours may carry a value or a remark behind it: `norm: batch`.
"""

from collections.abc import Mapping

Peers = Mapping[str, str]

PARAMETERS: Peers = {
    "lr": "learning_rate learningrate lr0 eta eta0 initial_lr init_lr base_lr max_lr peak_lr start_lr step_size "
    "learning_rate_init rate",
    "lr_min": "min_lr eta_min final_lr end_lr lr_end lr_final",
    "lr_drops": "milestones n_drops",
    "lr_decay": "gamma decay_rate lr_gamma decay_factor factor lr_decay_rate",
    "batch_size": "batchsize batch bs minibatch mini_batch minibatch_size mini_batch_size train_batch_size "
    "per_device_train_batch_size",
    "epochs": "n_epochs num_epochs max_epochs epoch max_epoch num_train_epochs nb_epoch nb_epochs n_epoch "
    "number_of_epochs n_iter max_iter iterations training_epochs train_epochs",
    "width": "hidden_dim hidden_size hidden_units hidden n_units units num_units hidden_layer_sizes num_hidden "
    "n_hidden hidden_features hidden_channels hidden_dims hidden_width channels num_channels n_channels d_model "
    "d_hidden layer_size layer_width neurons n_neurons num_neurons dim size",
    "depth": "num_layers n_layers layers hidden_layers num_hidden_layers n_hidden_layers nlayers n_blocks "
    "num_blocks "
    "number_of_layers layer_count",
    "dropout": "dropout_rate dropoutrate p_dropout dropout_p drop_rate p_drop drop drop_prob dropout_prob "
    "keep_prob "
    "dropout_probability",
    "weight_decay": "wd l2 l2_reg l2_regularization l2_penalty l2_lambda reg_lambda regularization lambda decay "
    "weightdecay alpha reg",
    "momentum": "sgd_momentum beta mom",
    "optimizer": "optim opt optimiser solver optimizer_name optimizer_type algorithm",
    "schedule": "scheduler lr_scheduler lr_schedule sched lr_policy learning_rate_schedule lr_scheduler_type "
    "annealing",
    "warmup (a share of the steps)": "warmup_ratio warmup_epochs warmup_steps num_warmup_steps warmup_iters "
    "warm_up",
    "clip (the largest norm of a gradient)": "grad_clip gradient_clip gradient_clip_val gradient_clipping "
    "max_grad_norm clip_grad clip_grad_norm clip_norm clipnorm grad_norm clip_value grad_clip_norm",
    "patience": "early_stopping early_stopping_patience early_stop early_stopping_rounds n_iter_no_change",
    "average: ema": "ema polyak moving_average use_ema ema_average",
    "average: swa": "swa averaging weight_averaging use_swa",
    "average_span": "ema_decay ema_span",
    "activation": "act activation_fn act_fn nonlinearity activation_function act_func nonlin",
    "norm": "normalization normalisation norm_layer norm_type",
    "norm: batch": "batch_norm batchnorm bn use_bn use_batch_norm batch_normalization",
    "norm: layer": "layer_norm layernorm ln use_layer_norm",
    "norm: group": "group_norm groupnorm gn",
    "skip": "residual residuals skip_connection skip_connections shortcut use_residual",
    "loss": "criterion loss_fn loss_function loss_func",
    "label_smoothing": "label_smooth smoothing labelsmoothing ls smooth label_smoothing_factor",
    "focal_gamma": "gamma_focal focal",
    "huber_delta": "delta huber_beta smooth_l1_beta",
    "class_weights": "class_weight pos_weight balance scale_pos_weight",
    "features (a share of them)": "colsample_bytree max_features feature_fraction n_features",
    "train_share": "subsample train_fraction train_size sample_fraction bagging_fraction",
    "embedding": "embedding_dim embed_dim emb_dim d_embedding embedding_size",
    "periodic": "n_frequencies num_frequencies fourier fourier_features",
    "periodic_scale": "sigma frequency_scale",
    "pieces": "n_bins bins num_bins",
    "image_size": "img_size imgsz resolution input_size crop_size",
    "flip": "hflip horizontal_flip random_flip fliplr random_horizontal_flip",
    "rotation": "rotate degrees random_rotation angle max_rotation",
    "shift": "translate translation random_crop crop random_shift",
    "scale": "zoom random_scale random_resized_crop zoom_range",
    "erasing": "random_erasing random_erase cutout",
    "noise": "gaussian_noise input_noise noise_std",
    "mixup": "mixup_alpha mix_up",
    "cutmix": "cutmix_alpha cut_mix",
}

OF_OWN = "a metric of your own, my_metrics:score with search.direction"
METRICS: Peers = {
    "accuracy": "acc top1 top_1 accuracy_score val_acc val_accuracy acc1 categorical_accuracy binary_accuracy",
    "accuracy (1 - the error rate)": "error error_rate err misclassification",
    "balanced_accuracy": "balanced_acc bal_acc bacc balanced_accuracy_score uar mean_recall macro_recall",
    "auroc": "auc roc_auc roc_auc_score rocauc auc_roc roc area_under_curve roc_auc_ovr",
    "log_loss": "nll cross_entropy logloss ce neg_log_loss negative_log_likelihood crossentropy bce xent "
    "binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy mlogloss binary_logloss "
    "nll_loss",
    "log_loss for classes, rmse for values": "loss val_loss validation_loss eval_loss",
    "f1": "f1_score f1score f1_macro macro_f1 f_score fscore f_measure f1_binary",
    "r2": "r2_score rsquared r_squared r_2 r_square determination explained_variance",
    "rmse": "root_mean_squared_error neg_root_mean_squared_error root_mean_square_error rms l2_error",
    "rmse (it orders trials as mse does)": "mse mean_squared_error neg_mean_squared_error mean_square_error l2 "
    "squared_error val_mse",
    "mae": "mean_absolute_error neg_mean_absolute_error l1 absolute_error mean_abs_error",
    OF_OWN: "precision recall sensitivity specificity average_precision ap pr_auc prauc auprc mcc kappa "
    "cohen_kappa qwk quadratic_weighted_kappa brier brier_score mape smape rmsle iou dice f2 fbeta f1_weighted "
    "f1_micro top5 top_5 top5_accuracy perplexity spearman pearson median_absolute_error",
}

VALUES: Mapping[str, Peers] = {
    "net": {
        "mlp": "nn dense fc fully_connected feedforward ffn fnn perceptron multilayer_perceptron "
            "multi_layer_perceptron "
        "linear dnn tabular",
        "resnet": "cnn convnet conv resnet18 resnet34 resnet50 resnet101 convolutional residual",
    },
    "optimizer": {
        "adam": "amsgrad adamax nadam radam", "adamw": "adam_w adam_decoupled",
        "sgd": "momentum sgdm vanilla_sgd gd gradient_descent", "nesterov": "sgd_nesterov nag nesterov_sgd",
    },
    "schedule": {
        "constant": "none const fixed flat off no", "cosine": "cosine_annealing cosineannealinglr cos "
            "cosine_decay",
        "one_cycle": "onecycle onecyclelr 1cycle one_cycle_lr", "step": "steplr multistep multisteplr step_lr",
        "cyclic": "cycliclr cosine_restarts cosineannealingwarmrestarts warm_restarts sgdr snapshot",
    },
    "norm": {
        "batch": "batchnorm batch_norm bn batchnorm1d batchnorm2d", "layer": "layernorm layer_norm ln",
        "group": "groupnorm group_norm gn",
    },
    "activation": {
        "silu": "swish", "leaky": "leaky_relu leakyrelu lrelu", "relu": "relu6 rectifier", "gelu": "gelu_new",
    },
    "loss": {
        "cross_entropy": "ce crossentropy crossentropyloss nll log_loss softmax categorical_crossentropy xent "
            "nll_loss",
        "focal": "focal_loss focalloss", "binary": "bce bceloss bcewithlogitsloss binary_cross_entropy "
            "bce_with_logits",
        "squared": "mse mseloss mean_squared_error l2 squared_error", "huber": "huberloss smooth_l1 smoothl1loss",
    },
    "average": {"ema": "polyak moving_average", "swa": "swalr stochastic_weight_averaging"},
    "scaling": {
        "standard": "standardize standard_scaler standardscaler zscore normalize",
        "quantile": "quantile_transformer rank",
    },
    "direction": {
        "maximize": "max maximise maximum up higher greater ascending highest",
        "minimize": "min minimise minimum down lower less descending lowest",
    },
    "task": {
        "classification": "classify class binary multiclass binary_classification multiclass_classification "
            "classifier "
        "categorical cls",
        "regression": "reg regress regressor continuous real quantile",
    },
    "device": {"cuda": "gpu cuda:0 cuda0 nvidia mps", "cpu": "none host"},
    "space": {"baseline": "default plain none", "recipe": "karpathy all full", "augment": "augmentation aug"},
}  # fmt: skip

# the keys of a study by section; names that stand in several sections count in their own first
KEYS: Mapping[str, Peers] = {
    "": {
        "name": "experiment experiment_name title study_name project run_name exp_name",
        "seed": "random_state random_seed rng_seed rng",
        "data": "dataset datasets input",
        "net": "model network arch architecture estimator module model_name nn",
        "objective": "trainer train train_fn trainable function fn objective_function objective_fn train_function "
        "training_function",
        "params": "hyperparameters hyperparams hparams param_space search_space space parameters param config "
        "hyper_parameters hps distributions",
        "init_from": "pretrained weights init init_weights checkpoint_path pretrained_weights from_checkpoint "
        "finetune",
        "search": "tune hpo tuner optimization sweep",
        "resources": "hardware compute",
    },
    "data": {
        "source": "path file filename file_name csv parquet npz dataset url uri data_path root train train_path "
            "folder "
        "directory dir loader train_csv train_file location",
        "target": "label label_column labels y target_column y_column response outcome label_col target_col "
        "target_name dependent output",
        "task": "task_type problem_type problem kind",
        "categorical": "cat_features categorical_features cat_cols categories categorical_columns cat_columns "
        "categoricals cats",
        "drop": "drop_columns drop_cols ignore exclude index_col id id_column ignore_columns ignored_columns",
        "missing": "na_values nan null na null_values missing_values",
        "weight": "sample_weight weights weight_column sample_weights example_weight sample_weight_column",
        "size": "image_size img_size resize imgsz resolution",
        "split": "splits train_test_split partition",
        "unlabelled": "unlabeled",
        "extra": "extra_data additional augmented synthetic",
    },
    "data.split": {
        "validation": "val valid dev val_size validation_size valid_size val_fraction val_share "
            "validation_fraction "
        "validation_split val_split val_ratio eval",
        "test": "test_size test_fraction holdout test_share test_split test_ratio",
        "seed": "random_state random_seed",
        "group": "groups group_column groupby group_by group_col",
        "time": "time_column date date_column timestamp time_col",
        "column": "split_column col part parts",
    },
    "search": {
        "trials": "n_trials num_trials num_samples max_trials trial budget n_iter samples n_calls max_evals "
        "num_trial trial_count n_samples",
        "metric": "scoring monitor eval_metric score objective_metric target_metric criterion metrics",
        "direction": "mode goal",
        "timeout": "max_time time_limit max_runtime timeout_s time_budget time_budget_s max_seconds duration "
        "time_limit_s max_hours",
        "folds": "cv n_folds k_folds kfold num_folds n_splits k cross_validation kfolds cv_folds",
        "enqueue": "points_to_evaluate initial_params initial_points enqueue_trials start_points warm_start",
        "prune": "pruner pruning early_termination early_stopping",
        "evaluate": "eval_every eval_interval evaluation_interval check_val_every_n_epoch validate_every",
        "space": "preset",
    },
    "resources": {
        "gpus_per_pack": "gpus num_gpus n_gpus gpu gpus_per_trial gpu_per_trial gpus_per_worker devices",
        "workers": "cpus num_workers n_jobs max_concurrent max_concurrent_trials concurrency parallel jobs cpu "
            "num_cpus "
        "n_workers threads parallelism processes",
        "device": "accelerator",
        "checkpoint": "checkpoint_interval save_every checkpoint_every",
        "trial_timeout": "max_trial_time trial_time_limit timeout_per_trial timeout",
        "disk_gb": "disk max_disk disk_limit",
    },
    "storage": {
        "path": "storage_path output output_dir out_dir out log_dir local_dir runs results_dir run_dir save_dir "
            "dir "
        "folder url uri root work_dir directory",
    },
    "squeeze": {
        "ensemble": "ensemble_size n_members members ensembling max_members",
        "student": "distill distillation distilled kd knowledge_distillation",
        "refit": "retrain refit_full",
        "seeds": "n_seeds num_seeds reseed",
        "prolong": "continue extend continue_training longer",
    },
    "squeeze.student": {
        "trials": "n_trials num_trials num_samples", "size": "width ratio share compression", "longer": "epochs",
    },
    "human": {"score": "accuracy value performance level", "labels": "annotations second"},
    "params.": {
        "low": "min lower minimum from start lo lb a", "high": "max upper maximum to end stop hi ub b",
        "choices": "values options categories grid choice list categorical one_of", "value": "fixed const "
            "constant",
        "log": "log_uniform loguniform logscale log_scale log_base", "step": "q quantum quantization increment",
        "when": "condition conditions if depends_on parent",
    },
}  # fmt: skip
