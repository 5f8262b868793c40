// MetaTrader's names for a C++ compiler that only looks at the syntax: types, constants and functions that the experts use, without bodies.
// A name that is missing here is one that an expert must not use yet. This is a lint, not MetaEditor.
#pragma once

typedef unsigned long ulong;
typedef unsigned int uint;
typedef unsigned short ushort;
typedef long datetime;

struct string {
  string();
  string(const char *text);
  string operator+(const string &other) const;
  bool operator==(const string &other) const;
  bool operator!=(const string &other) const;
};
string operator+(const char *left, const string &right);

template <typename T> struct mql_array {
  T &operator[](int place);
};

enum ENUM_INIT_RETCODE { INIT_SUCCEEDED, INIT_FAILED };
enum ENUM_TRADE_REQUEST_ACTIONS { TRADE_ACTION_DEAL, TRADE_ACTION_SLTP };
enum ENUM_ORDER_TYPE { ORDER_TYPE_BUY, ORDER_TYPE_SELL };
enum ENUM_ORDER_TYPE_FILLING { ORDER_FILLING_FOK, ORDER_FILLING_IOC, ORDER_FILLING_RETURN };
enum ENUM_ORDER_TYPE_TIME { ORDER_TIME_GTC, ORDER_TIME_DAY };
enum ENUM_POSITION_TYPE { POSITION_TYPE_BUY, POSITION_TYPE_SELL };
enum ENUM_POSITION_PROPERTY_INTEGER { POSITION_MAGIC, POSITION_TYPE, POSITION_TIME_MSC };
enum ENUM_POSITION_PROPERTY_DOUBLE { POSITION_VOLUME };
enum ENUM_POSITION_PROPERTY_STRING { POSITION_SYMBOL, POSITION_COMMENT };
enum ENUM_SYMBOL_INFO_INTEGER { SYMBOL_FILLING_MODE };
enum { SYMBOL_FILLING_FOK = 1, SYMBOL_FILLING_IOC = 2, INVALID_HANDLE = -1 };
enum { FILE_READ = 1, FILE_TXT = 8, FILE_ANSI = 32, FILE_SHARE_READ = 128, FILE_COMMON = 4096 };
enum { TRADE_RETCODE_PLACED = 10008, TRADE_RETCODE_DONE = 10009 };

struct MqlTick {
  datetime time;
  double bid, ask, last;
  ulong volume;
  long time_msc;
  uint flags;
  double volume_real;
};
struct MqlTradeRequest {
  ENUM_TRADE_REQUEST_ACTIONS action;
  ulong magic, order;
  string symbol;
  double volume, price, stoplimit, sl, tp;
  ulong deviation;
  ENUM_ORDER_TYPE type;
  ENUM_ORDER_TYPE_FILLING type_filling;
  ENUM_ORDER_TYPE_TIME type_time;
  datetime expiration;
  string comment;
  ulong position, position_by;
};
struct MqlTradeResult {
  uint retcode;
  ulong deal, order;
  double volume, price, bid, ask;
  string comment;
  uint request_id;
  int retcode_external;
};

extern const string _Symbol;

template <typename T> int ArraySize(const mql_array<T> &array);
template <typename T> int ArrayResize(mql_array<T> &array, int size, int reserve = 0);
template <typename T> void ZeroMemory(T &value);
template <typename... T> void PrintFormat(const string &format, T... values);
int GetLastError();
int FileOpen(const string &name, int flags);
bool FileIsEnding(int file);
string FileReadString(int file);
void FileClose(int file);
int StringSplit(const string &text, ushort separator, mql_array<string> &parts);
string StringSubstr(const string &text, int start, int length = -1);
datetime StringToTime(const string &text);
long StringToInteger(const string &text);
double StringToDouble(const string &text);
bool SymbolInfoTick(const string &symbol, MqlTick &tick);
long SymbolInfoInteger(const string &symbol, ENUM_SYMBOL_INFO_INTEGER property);
int PositionsTotal();
ulong PositionGetTicket(int place);
bool PositionSelectByTicket(ulong ticket);
long PositionGetInteger(ENUM_POSITION_PROPERTY_INTEGER property);
double PositionGetDouble(ENUM_POSITION_PROPERTY_DOUBLE property);
string PositionGetString(ENUM_POSITION_PROPERTY_STRING property);
bool OrderSend(const MqlTradeRequest &request, MqlTradeResult &result);
